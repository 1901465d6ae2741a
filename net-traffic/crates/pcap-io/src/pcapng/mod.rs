//! pcapng (<https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcapng/>): blocks with options, several interfaces in one
//! file, and metadata beside each packet.
//!
//! The reader accepts sections of either byte order. The writer writes one little-endian section with times in
//! nanoseconds.

mod options;
mod packet_options;
mod read;
mod write;

pub(crate) use self::read::PcapNgReader;
pub use self::write::{PcapNgWriter, SectionHeader};

/// Block types.
pub(crate) const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE_DESCRIPTION: u32 = 1;
/// The Packet Block, obsolete and still found in old files.
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const INTERFACE_STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

/// The first word of a section header's body.
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
