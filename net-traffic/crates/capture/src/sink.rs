//! The trait of a consumer of packets: a file, text, JSON.

use std::io;

use pcap_io::{Interface, Packet};

use crate::Ledger;

/// Writes packets, one after the other.
pub trait PacketSink {
    /// Opens the output, if it is not open yet.
    ///
    /// # Errors
    /// Those of the underlying writer.
    fn open(&mut self, _interfaces: &[Interface], _now_ns: u64) -> io::Result<()> {
        Ok(())
    }

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

    /// Writes what ends a capture: its statistics.
    ///
    /// # Errors
    /// Those of the underlying writer.
    fn finish(&mut self, interfaces: &[Interface], ledger: &Ledger, now_ns: u64) -> io::Result<()> {
        self.statistics(interfaces, ledger, now_ns)
    }

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
