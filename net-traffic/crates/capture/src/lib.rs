//! The contract of a packet capture, the same on every system: its options, why it stops, its loss ledger, and the
//! trait that consumers of packets implement. Filters on packets that come from a file.
//!
//! The capture itself is in the crate of the system.

#![forbid(unsafe_code)]

mod ledger;
mod options;
mod sink;
mod user_filter;

use std::ops::ControlFlow;

pub use self::ledger::Ledger;
pub use self::options::{LiveCaptureOptions, OwnerFilter, now_ns, system};
pub use self::sink::PacketSink;
pub use self::user_filter::{FILE_NETMASK, UserFilter, UserFilterError, names};

use net_traffic_snapshot::OpenError;
use pcap_filter::FilterError;
use pcap_io::{Interface, Packet};

/// Consumes one packet. The slice holds all interfaces known so far. `Break` stops the delivery of packets.
pub type Take<'t> = dyn FnMut(&[Interface], &Packet<'_>) -> ControlFlow<()> + 't;

/// Why a capture did not start.
#[derive(Debug, thiserror::Error)]
pub enum CaptureStartError {
    /// The filter expression does not compile.
    #[error("{0}")]
    Filter(FilterError),
    /// The system refused, or an option is wrong.
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why a capture stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopReason {
    /// The consumer of the packets returned `Break`.
    ConsumerDone,
    /// The command that the capture started has exited.
    CommandExited,
    /// The interface of this name no longer exists.
    InterfaceGone(String),
    /// The system delivers no more packets, for this reason.
    SourceFailed(String),
}
