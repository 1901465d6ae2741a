//! What a throughput test takes of the system: its standard output, the sockets that it has by now, and
//! what it can do at once.

mod congestion;
mod output;
pub(in crate::source) mod own;

pub(in crate::source) use self::congestion::controls_congestion_by;
pub(in crate::source) use self::output::Redirected;

/// Whether many datagrams can be sent in one call.
pub(in crate::source) const SENDS_MANY: bool = true;
