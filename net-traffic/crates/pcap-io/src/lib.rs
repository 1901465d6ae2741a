//! Reads and writes pcap and pcapng files.
//!
//! ```
//! use pcap_io::CaptureFile;
//! # fn main() -> Result<(), pcap_io::CaptureError> {
//! # let octets: &[u8] = &[
//! #     0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0,
//! #     1, 0, 0, 0, 2, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4,
//! # ];
//! let mut file = CaptureFile::new(octets)?;
//! let mut lengths = Vec::new();
//! while file
//!     .next(&mut |_interfaces, packet| {
//!         lengths.push(packet.length);
//!         std::ops::ControlFlow::Continue(())
//!     })?
//!     .is_continue()
//! {}
//! assert_eq!(lengths, [4]);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]

mod endian;
mod error;
mod file;
pub mod format;
mod packet;
pub mod pcap;
pub mod pcapng;
mod reading;
mod sink;

use std::ops::ControlFlow;

pub use self::error::CaptureError;
pub use self::file::CaptureFile;
pub use self::format::LinkType;
pub use self::packet::{
    Checksum, Container, Direction, Interface, Ledger, Missed, Packet, Process, Segments,
};
pub use self::sink::PacketSink;

/// Takes one packet, with all interfaces that are known by now; breaks to have no more.
pub type Take<'t> = dyn FnMut(&[Interface], &Packet<'_>) -> ControlFlow<()> + 't;
