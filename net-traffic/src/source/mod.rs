//! Where snapshots come from: the live machine, or a recording.
//!
//! The only place with system calls, clocks, `unsafe` and `cfg(target_os)`.

pub mod capture;
#[cfg(not(target_os = "linux"))]
pub mod elsewhere;
pub mod iperf;
#[cfg(target_os = "linux")]
pub mod linux;
pub mod live;
pub mod names;
pub mod record;
mod recording;
pub mod replay;
pub mod stop;

#[cfg(not(target_os = "linux"))]
pub use self::elsewhere::{Live, Surroundings, act_if_told, children::Children, exists, selftest};
#[cfg(target_os = "linux")]
pub use self::linux::{
    children::Children, exists, live::Live, selftest::run as selftest, surroundings::Surroundings,
    traffic::act_if_told,
};
pub use self::live::{LiveOptions, Netns, OpenError, Progress, StartError, Tier, Wanted};
pub use self::names::Names;
pub use self::record::Recorder;
pub use self::replay::{Replay, ReplayError};
pub use self::stop::Stop;

use crate::snapshot::Snapshot;

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
