//! The source of snapshots: the live machine, or a recording.

/// The crate of the operating system that the program is built for. Both have the same interface.
#[cfg(target_os = "linux")]
pub(crate) use net_traffic_linux as system;
#[cfg(windows)]
pub(crate) use net_traffic_windows as system;

use self::system::Live;
use net_traffic_snapshot::{Replay, Snapshot, SourceError};

/// A source of snapshots.
#[derive(Debug)]
pub(crate) enum Source {
    Live(Live),
    Replay(Replay),
}

impl Source {
    /// The inode of the network namespace that the source is limited to. A recording has no limit of its own.
    #[must_use]
    pub(crate) fn scope(&self) -> Option<u32> {
        match self {
            Self::Live(live) => live.scope(),
            Self::Replay(_) => None,
        }
    }

    /// The next snapshot; `None` at the end of a recording.
    ///
    /// # Errors
    /// When the machine or the recording cannot be read.
    pub(crate) fn snapshot(&mut self) -> Result<Option<Snapshot>, SourceError> {
        match self {
            Self::Live(live) => live.snapshot().map(Some),
            Self::Replay(replay) => Ok(replay.snapshot()?),
        }
    }
}
