//! Where snapshots come from: the live machine, or a recording.
//!
//! The only place with system calls, clocks, `unsafe` and `cfg(target_os)`.

pub mod capture;
pub mod etw;
pub mod iperf;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod live;
pub mod names;
pub mod record;
mod recording;
pub mod replay;
#[cfg(windows)]
pub mod windows;

/// The system that this is built for: what all the rest asks of it has the same names in both.
#[cfg(target_os = "linux")]
use self::linux as system;
#[cfg(windows)]
use self::windows as system;

pub use self::live::{LiveOptions, Netns, OpenError, Progress, StartError, Tier, Wanted};
pub use self::names::Names;
pub use self::record::Recorder;
pub use self::replay::{Replay, ReplayError};
pub use self::system::children::Children;
pub use self::system::exists;
pub use self::system::host::begin;
pub use self::system::live::Live;
pub use self::system::selftest::{act_if_told, run as selftest};
pub use self::system::stop::Stop;
pub use self::system::surroundings::Surroundings;

use crate::snapshot::{Snapshot, Status};

/// Where snapshots come from.
#[derive(Debug)]
pub enum Source {
    Live(Live),
    Replay(Replay),
}

impl Source {
    /// The inode of the network namespace that it is limited to; a recording is limited by the selection alone.
    #[must_use]
    pub fn scope(&self) -> Option<u32> {
        match self {
            Self::Live(live) => live.scope(),
            Self::Replay(_) => None,
        }
    }

    /// The next snapshot; `None` where a recording ends.
    ///
    /// # Errors
    /// When there was nothing to read.
    pub fn snapshot(&mut self) -> Result<Option<Snapshot>, SourceError> {
        match self {
            Self::Live(live) => live.snapshot().map(Some),
            Self::Replay(replay) => Ok(replay.snapshot()?),
        }
    }
}

/// Why there is no snapshot.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    #[error("failed to read this machine: {0}")]
    Live(std::io::Error),
    #[error("failed to replay: {0}")]
    Replay(#[from] ReplayError),
}

/// Fills in part of a snapshot from one mechanism of the operating system.
///
/// Counters are cumulative; what a collector cannot observe it leaves `None`. Construction does everything that
/// can fail for good; a failed `collect` belongs to that one snapshot.
pub trait Collector: Send {
    /// The mechanism, as `doctor` prints it: `ebpf`, `sock_diag`, `etw`.
    fn name(&self) -> &'static str;

    /// Adds what it observes now to the snapshot.
    ///
    /// # Errors
    /// When the mechanism did not answer this time; the snapshot then lacks its part.
    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError>;
}

/// Why one reading of one collector is missing.
#[derive(Debug, thiserror::Error)]
#[error("{collector}: failed to {attempt}: {cause}")]
pub struct CollectError {
    pub collector: &'static str,
    pub attempt: &'static str,
    pub cause: std::io::Error,
}

/// Lets each collector add its part. One that fails leaves its part out, and the status says why.
pub fn collect_all(collectors: &mut [Box<dyn Collector>], snapshot: &mut Snapshot) {
    for collector in collectors {
        if let Err(error) = collector.collect(snapshot) {
            snapshot.status.push(failure(collector.name(), &error));
        }
    }
}

fn failure(collector: &str, error: &CollectError) -> Status {
    Status {
        slot: collector.to_owned(),
        tier: None,
        program: None,
        covers: None,
        reason: Some(format!("failed to {}: {}", error.attempt, error.cause)),
        remedy: None,
    }
}
