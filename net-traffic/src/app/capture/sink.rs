//! Where the packets go.

use std::io::{self, BufWriter, Stdout};

use crate::config::capture::To;
use net_traffic_capture::{Ledger, PacketSink, system};
use net_traffic_output::packets::Files;
use net_traffic_packet_text::{JsonPackets, TextPackets, json_summary};
use pcap_io::{Interface, Packet};

/// Writes packets as the user wants them.
pub(super) struct Writer {
    sink: Sink,
    /// Nobody is to wait for a buffer to fill.
    at_once: bool,
}

enum Sink {
    Text(TextPackets<BufWriter<Stdout>>),
    Json(JsonPackets<BufWriter<Stdout>>),
    Files(Box<Files>),
}

impl Writer {
    pub(super) fn new(to: &To) -> Self {
        let out = || BufWriter::with_capacity(1 << 16, io::stdout());
        let (sink, at_once) = match to {
            To::Text { settings, at_once } => (Sink::Text(TextPackets::new(out(), *settings)), *at_once),
            To::Json(settings) => (Sink::Json(JsonPackets::new(out(), *settings)), false),
            To::Files { path, format, rotation, at_once, several } => {
                let files = Files::new(path.clone(), *format, *rotation, system()).several(*several);
                (Sink::Files(Box::new(files)), *at_once)
            }
        };
        Self { sink, at_once }
    }

    fn sink(&mut self) -> &mut dyn PacketSink {
        match &mut self.sink {
            Sink::Text(text) => text,
            Sink::Json(json) => json,
            Sink::Files(files) => files.as_mut(),
        }
    }

    pub(super) fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()> {
        // Packets are many, and each sink is known here.
        match &mut self.sink {
            Sink::Files(files) => files.packet(interfaces, packet)?,
            Sink::Text(text) => text.packet(interfaces, packet)?,
            Sink::Json(json) => json.packet(interfaces, packet)?,
        }
        if self.at_once { self.sink().flush() } else { Ok(()) }
    }

    /// Makes sure that there is a place to write to.
    pub(super) fn open(&mut self, interfaces: &[Interface], now_ns: u64) -> io::Result<()> {
        match &mut self.sink {
            Sink::Files(files) => files.open_if_new(interfaces, now_ns),
            Sink::Text(_) | Sink::Json(_) => Ok(()),
        }
    }

    /// Lets readers see what was written.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.sink().flush()
    }

    /// Writes what is known of the capture by now.
    pub(super) fn statistics(
        &mut self,
        interfaces: &[Interface],
        ledger: &Ledger,
        now_ns: u64,
    ) -> io::Result<()> {
        self.sink().statistics(interfaces, ledger, now_ns)
    }

    /// Packets that were taken and that an error kept from being written.
    pub(super) fn unwritten(&mut self) -> u64 {
        self.sink().unwritten()
    }

    /// Nothing more will be written.
    pub(super) fn is_full(&self) -> bool {
        match &self.sink {
            Sink::Files(files) => files.is_full(),
            Sink::Text(_) | Sink::Json(_) => false,
        }
    }

    /// Writes what ends a capture.
    pub(super) fn finish(
        &mut self,
        interfaces: &[Interface],
        ledger: &Ledger,
        now_ns: u64,
    ) -> io::Result<()> {
        self.open(interfaces, now_ns)?;
        self.sink().statistics(interfaces, ledger, now_ns)?;
        if let Sink::Json(_) = self.sink {
            json_summary(&mut io::stdout(), ledger, now_ns)?;
        }
        Ok(())
    }
}
