//! The system calls of a throughput test: redirects standard output, finds own sockets, tests congestion control.

mod congestion;
mod output;
pub(crate) mod own;

pub(crate) use self::congestion::controls_congestion_by;
pub(crate) use self::output::Redirected;

/// Whether the system has sendmmsg(2).
pub(crate) const SENDS_MANY: bool = true;
