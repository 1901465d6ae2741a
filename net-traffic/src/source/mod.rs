//! Where snapshots come from: the live machine, or a recording.
//!
//! The only place with system calls, clocks, `unsafe` and `cfg(target_os)`.

#[cfg(target_os = "linux")]
pub mod linux;

use crate::snapshot::Snapshot;

/// Fills in part of a snapshot from one mechanism of the operating system.
///
/// Counters are cumulative; what a collector cannot observe it leaves `None`. Construction does everything that
/// can fail for good; a failed `collect` belongs to that one snapshot.
pub trait Collector: Send {
    /// The mechanism, as `doctor` prints it: "ebpf", "sock_diag", "etw".
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
