//! The trait of what takes packets.

use std::io;

use crate::{Interface, Ledger, Packet};

/// Takes packets, one after the other.
pub trait PacketSink {
    /// # Errors
    /// Those of the writer.
    fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()>;

    /// Writes what is known of the whole capture by now, if the format has a place for it.
    ///
    /// # Errors
    /// Those of the writer.
    fn statistics(&mut self, interfaces: &[Interface], ledger: &Ledger, now_ns: u64) -> io::Result<()>;

    /// Lets readers see what was written.
    ///
    /// # Errors
    /// Those of the writer.
    fn flush(&mut self) -> io::Result<()>;

    /// Packets that were taken, and that an error kept from being written.
    fn unwritten(&self) -> u64 {
        0
    }

    /// Nothing more will be written.
    fn is_full(&self) -> bool {
        false
    }
}
