//! Where snapshots come from: the live machine, or a recording.

/// The system that this is built for: all that the program asks of one has the same names in both.
#[cfg(target_os = "linux")]
pub(crate) use net_traffic_linux as system;
#[cfg(windows)]
pub(crate) use net_traffic_windows as system;

use self::system::Live;
use net_traffic_snapshot::{Replay, Snapshot, SourceError};

/// Where snapshots come from.
#[derive(Debug)]
pub(crate) enum Source {
    Live(Live),
    Replay(Replay),
}

impl Source {
    /// The inode of the network namespace that it is limited to; a recording is limited by the selection alone.
    #[must_use]
    pub(crate) fn scope(&self) -> Option<u32> {
        match self {
            Self::Live(live) => live.scope(),
            Self::Replay(_) => None,
        }
    }

    /// The next snapshot; `None` where a recording ends.
    ///
    /// # Errors
    /// When there was nothing to read.
    pub(crate) fn snapshot(&mut self) -> Result<Option<Snapshot>, SourceError> {
        match self {
            Self::Live(live) => live.snapshot().map(Some),
            Self::Replay(replay) => Ok(replay.snapshot()?),
        }
    }
}
