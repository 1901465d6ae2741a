//! The contract of a source: collectors that each fill in a part of a snapshot.

use crate::{ReplayError, Snapshot, Status};

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
/// Counters are cumulative. A value that the collector cannot read stays `None`. The constructor makes every call that
/// can fail for good; a failed `collect` concerns one snapshot.
pub trait Collector: Send {
    /// The mechanism in `doctor`: `ebpf`, `sock_diag`, `etw`.
    fn name(&self) -> &'static str;

    /// Adds the current values to the snapshot.
    ///
    /// # Errors
    /// When the mechanism fails. The snapshot then lacks this part.
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

/// Runs every collector. The status has the reason of each that failed.
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
