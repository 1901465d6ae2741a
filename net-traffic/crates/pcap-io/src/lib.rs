//! Reads and writes packet capture files: pcap and pcapng.
//!
//! [`CaptureReader`] reads either format, of either byte order, compressed with gzip or not. Packets borrow their bytes
//! from the reader's buffer. [`PcapWriter`] and [`PcapNgWriter`] encode into a `Vec<u8>`, so that the caller decides
//! when to write: a file that grows by whole packets is readable at any time.
//!
//! Beside the packets, pcapng files hold the [`Interface`]s with their names, filters and statistics, and for each
//! [`Packet`] its direction, checksum state, segmentation, losses and [`Process`].
//!
//! # Example
//!
//! ```
//! use pcap_io::{CaptureReader, Interface, LinkType, Packet, PcapNgWriter, SectionHeader};
//!
//! # fn main() -> Result<(), pcap_io::ReadError> {
//! let interfaces =
//!     [Interface { name: Some("eth0".to_owned()), link: LinkType::ETHERNET, ..Interface::default() }];
//! let mut file = Vec::new();
//! let mut writer = PcapNgWriter::new(&mut file, &SectionHeader { application: "example", ..SectionHeader::default() });
//! let packet = Packet { time_ns: 1_700_000_000_000_000_000, ..Packet::new(b"not a real frame") };
//! writer.packet(&mut file, &interfaces, &packet);
//!
//! let mut reader = CaptureReader::new(std::io::Cursor::new(file))?;
//! while let Some((interfaces, packet)) = reader.next_packet()? {
//!     let interface = &interfaces[packet.interface];
//!     assert_eq!(interface.name.as_deref(), Some("eth0"));
//!     assert_eq!((packet.time_ns, packet.data), (1_700_000_000_000_000_000, &b"not a real frame"[..]));
//! }
//! # Ok(())
//! # }
//! ```
//!
//! # Names
//!
//! [`Packet`], [`Interface`], [`Process`] and [`Container`] hold what a file can store, and no more. A program that has
//! types of these names for another purpose writes `pcap_io::Process` where it uses both.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod endian;
mod error;
mod input;
mod link_type;
mod packet;
mod pcap;
mod pcapng;
mod reader;

pub use self::error::ReadError;
pub use self::link_type::{LinkType, MAX_SNAPLEN};
pub use self::packet::{Checksum, Container, Direction, Interface, Missed, Packet, Process, Segments};
pub use self::pcap::{LinkHeader, PcapWriter};
pub use self::pcapng::{PcapNgWriter, SectionHeader};
pub use self::reader::CaptureReader;
