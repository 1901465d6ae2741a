//! What a live capture is asked for and why it ends; filters on packets that come from a file.
//!
//! The same on every system. The capture itself is in the crate of the system.

#![forbid(unsafe_code)]

mod options;
mod user_filter;

pub use self::options::{Choice, LiveCaptureOptions, filter_link, now_ns, system};
pub use self::user_filter::{FILE_NETMASK, UserFilter, UserFilterError, names};

use net_traffic_snapshot::OpenError;
use pcap_filter::FilterError;

/// Why a capture could not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{0}")]
    Filter(FilterError),
    #[error(transparent)]
    Open(#[from] OpenError),
}

/// Why a capture has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Whoever takes the packets wants no more.
    Enough,
    /// The command has ended.
    Command,
    /// The interface is gone.
    Interface(String),
    /// The system hands over nothing more: why.
    Broken(String),
}
