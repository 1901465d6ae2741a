//! The system calls of a throughput test: redirects standard output, finds own sockets, tests congestion control.

mod output;
pub(crate) mod own;

pub(crate) use self::output::Redirected;

/// Whether the system has sendmmsg(2).
pub(crate) const SENDS_MANY: bool = false;

/// Windows has no socket option for the congestion control algorithm.
///
/// # Errors
/// Always.
pub(crate) fn controls_congestion_by(_name: &str) -> std::io::Result<()> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "Windows has no such socket option"))
}
