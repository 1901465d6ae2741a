//! The writer of captured packets: text, JSON, or files.

use std::io::{self, BufWriter};

use crate::config::capture::CaptureSink;
use net_traffic_capture::{Ledger, PacketSink, system};
use net_traffic_output::packets::Files;
use net_traffic_packet_text::{JsonPackets, TextPackets};
use pcap_io::{Interface, Packet};

/// One sink, and whether it is flushed after each packet.
pub(super) struct Writer {
    sink: Box<dyn PacketSink>,
    flush_each: bool,
}

impl Writer {
    pub(super) fn new(sink: &CaptureSink) -> Self {
        let stdout = || BufWriter::with_capacity(1 << 16, io::stdout());
        let (sink, flush_each): (Box<dyn PacketSink>, bool) = match sink {
            CaptureSink::Text { settings, flush_each } => {
                (Box::new(TextPackets::new(stdout(), *settings)), *flush_each)
            }
            CaptureSink::Json(settings) => (Box::new(JsonPackets::new(stdout(), *settings)), false),
            CaptureSink::Files { path, format, rotation, flush_each, several } => {
                let files = Files::new(path.clone(), *format, *rotation, system()).several(*several);
                (Box::new(files), *flush_each)
            }
        };
        Self { sink, flush_each }
    }

    pub(super) fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()> {
        self.sink.packet(interfaces, packet)?;
        if self.flush_each { self.sink.flush() } else { Ok(()) }
    }

    /// Opens the file, so that one that cannot be created fails before the first packet.
    pub(super) fn open(&mut self, interfaces: &[Interface], now_ns: u64) -> io::Result<()> {
        self.sink.open(interfaces, now_ns)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }

    /// Writes the capture's numbers so far, if the format has a place for them.
    pub(super) fn statistics(
        &mut self,
        interfaces: &[Interface],
        ledger: &Ledger,
        now_ns: u64,
    ) -> io::Result<()> {
        self.sink.statistics(interfaces, ledger, now_ns)
    }

    /// Packets that the sink consumed and an error kept from being written.
    pub(super) fn unwritten(&self) -> u64 {
        self.sink.unwritten()
    }

    /// Whether the last file is complete.
    pub(super) fn is_full(&self) -> bool {
        self.sink.is_full()
    }

    /// Writes what ends a capture.
    pub(super) fn finish(
        &mut self,
        interfaces: &[Interface],
        ledger: &Ledger,
        now_ns: u64,
    ) -> io::Result<()> {
        self.sink.open(interfaces, now_ns)?;
        self.sink.finish(interfaces, ledger, now_ns)
    }
}
