//! Snapshots of cumulative counters, the contract of the sources that read them, and recordings.

#![forbid(unsafe_code)]

mod collector;
mod live;
mod record;
mod recording;
mod replay;
pub mod selftest;
mod snapshot;

pub use self::collector::{CollectError, Collector, SourceError, collect_all};
pub use self::live::{Counting, LiveOptions, Netns, OpenError, Progress, SocketFilter, StartError, Tier};
pub use self::record::Recorder;
pub use self::replay::{Replay, ReplayError};
pub use self::snapshot::*;
