//! What every source gives and every layer below it reads: snapshots of cumulative counters, the contract of a source,
//! and recordings.

#![forbid(unsafe_code)]

mod collector;
mod live;
mod record;
mod recording;
mod replay;
pub mod selftest;
mod snapshot;

pub use self::collector::{CollectError, Collector, SourceError, collect_all};
pub use self::live::{LiveOptions, Netns, OpenError, Progress, StartError, Tier, Wanted};
pub use self::record::Recorder;
pub use self::replay::{Replay, ReplayError};
pub use self::snapshot::*;
