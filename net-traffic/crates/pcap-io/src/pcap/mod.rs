//! Classic pcap: one link type for a whole file.

mod read;
mod write;

pub(crate) use self::read::Pcap;
pub use self::write::*;
