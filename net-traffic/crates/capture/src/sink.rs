//! The trait of a consumer of packets: a file, text, JSON.

use std::io;

use pcap_io::{Interface, Packet};

use crate::Ledger;

/// Writes packets, one after the other.
pub trait PacketSink {
    /// Writes one packet. `interfaces` holds all interfaces known so far; `packet.interface` is an index into it.
    ///
    /// # Errors
    /// Those of the underlying writer.
    fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()>;

    /// Writes the statistics of the capture up to now, if the format has a place for them.
    ///
    /// # Errors
    /// Those of the underlying writer.
    fn statistics(&mut self, interfaces: &[Interface], ledger: &Ledger, now_ns: u64) -> io::Result<()>;

    /// Writes all buffered bytes.
    ///
    /// # Errors
    /// Those of the underlying writer.
    fn flush(&mut self) -> io::Result<()>;

    /// The number of packets in the buffer after a failed write.
    fn unwritten(&self) -> u64 {
        0
    }

    /// Whether the sink has reached its limit and drops all further packets.
    fn is_full(&self) -> bool {
        false
    }
}
