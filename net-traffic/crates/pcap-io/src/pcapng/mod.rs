//! pcapng: blocks with options, many interfaces in one file.

mod described;
mod read;
mod write;

pub(crate) use self::read::PcapNg;
pub use self::write::*;
