//! What a throughput test takes of the system: its standard output, the sockets that it has by now, and
//! what it can do at once.

mod congestion;
mod output;
pub(crate) mod own;

pub(crate) use self::congestion::controls_congestion_by;
pub(crate) use self::output::Redirected;

/// Whether many datagrams can be sent in one call.
pub(crate) const SENDS_MANY: bool = true;
