//! Where packets come from: files, and the machine itself.

pub mod file;
mod options;
mod pcap;
mod pcapng;
mod reading;
mod user_filter;

use std::io;
use std::ops::ControlFlow;

pub use self::file::CaptureFile;
pub use self::options::{Choice, LiveCaptureOptions, filter_link, now_ns, system};
pub use self::user_filter::{FILE_NETMASK, UserFilter, UserFilterError, names};
pub use crate::source::system::capture::{LiveCapture, link_of};
pub use crate::source::system::signals::Signals;

use crate::filter::FilterError;
use crate::packet::{Interface, Packet};
use crate::source::OpenError;

/// Takes one packet, with all interfaces that are known by now; breaks to have no more.
pub type Take<'t> = dyn FnMut(&[Interface], &Packet<'_>) -> ControlFlow<()> + 't;

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

/// Why a file has no more packets.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The file is not what it claims to be. Whatever came before this place was read.
    #[error("{0}")]
    Format(&'static str),
    #[error("the file ends within a packet")]
    Truncated,
    #[error("neither pcap nor pcapng (it begins with {0:08x})")]
    Unknown(u32),
}

/// The order of the octets in a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endian {
    Big,
    Little,
}

impl Endian {
    fn u16(self, octets: &[u8], at: usize) -> Option<u16> {
        let octets = octets.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(octets),
            Self::Little => u16::from_le_bytes(octets),
        })
    }

    fn u32(self, octets: &[u8], at: usize) -> Option<u32> {
        let octets = octets.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(octets),
            Self::Little => u32::from_le_bytes(octets),
        })
    }

    fn u64(self, octets: &[u8], at: usize) -> Option<u64> {
        let octets = octets.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(match self {
            Self::Big => u64::from_be_bytes(octets),
            Self::Little => u64::from_le_bytes(octets),
        })
    }
}
