//! Packets as JSON Lines: an object a packet, and a summary of the capture at the end.

use std::io::{self, Write};

use jiff::Timestamp;
use serde::Serialize;

use crate::dissect::{FlowTuple, flow, frame};
use crate::{Settings, Stamp, TextPackets};
use net_traffic_capture::{Ledger, PacketSink};
use pcap_io::{Checksum, Container, Direction, Interface, Packet};

const SCHEMA: &str = "net-traffic/1";

/// Writes one object a packet.
#[derive(Debug)]
pub struct JsonPackets<W> {
    out: W,
    /// The printer for the member `info`.
    text: TextPackets<Vec<u8>>,
}

#[derive(Serialize)]
struct PacketObject<'a> {
    schema: &'static str,
    report: &'static str,
    time: String,
    interface: Option<&'a str>,
    direction: Option<&'static str>,
    length: u32,
    captured: usize,
    protocol: Option<&'static str>,
    source: Option<Endpoint>,
    destination: Option<Endpoint>,
    vlan: Option<u16>,
    segments: Option<u32>,
    segment_size: Option<u32>,
    checksum: Option<&'static str>,
    pid: Option<u32>,
    process: Option<&'a str>,
    container: Option<&'a str>,
    info: &'a str,
}

#[derive(Serialize)]
struct Endpoint {
    address: String,
    port: Option<u16>,
}

impl<W: Write> JsonPackets<W> {
    pub fn new(out: W, settings: Settings) -> Self {
        let settings = Settings { stamp: Stamp::None, number: false, ..settings };
        Self { out, text: TextPackets::bare(settings) }
    }
}

impl<W: Write> PacketSink for JsonPackets<W> {
    fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()> {
        let interface = interfaces.get(packet.interface);
        let frame = interface.and_then(|interface| frame(interface.link, packet.data));
        let flow = frame.as_ref().map(flow).unwrap_or_default();
        let FlowTuple { protocol, source, destination, ports } = flow;
        let info = self.text.line(interfaces, packet);
        let object = PacketObject {
            schema: SCHEMA,
            report: "packet",
            time: time(packet.time_ns),
            interface: interface.and_then(|interface| interface.name.as_deref()),
            direction: packet.direction.map(|direction| match direction {
                Direction::In => "in",
                Direction::Out => "out",
            }),
            length: packet.length,
            captured: packet.data.len(),
            protocol: frame.as_ref().and_then(|frame| protocol_name(frame.protocol, protocol)),
            source: source.map(|ip| Endpoint { address: ip.to_string(), port: ports.map(|ports| ports.0) }),
            destination: destination
                .map(|ip| Endpoint { address: ip.to_string(), port: ports.map(|ports| ports.1) }),
            vlan: frame.as_ref().and_then(|frame| frame.vlans.first()).map(|(_, tag)| tag & 0xfff),
            segments: packet.segments.map(|segments| segments.count),
            segment_size: packet.segments.map(|segments| segments.size),
            checksum: packet.checksum.map(|checksum| match checksum {
                Checksum::NotReady => "not_ready",
                Checksum::Valid => "valid",
            }),
            pid: packet.process.map(|process| process.pid),
            process: packet.process.map(|process| process.name.as_str()),
            container: packet.process.and_then(|process| process.container.as_ref()).map(Container::label),
            info: info.trim_end(),
        };
        line(&mut self.out, &object)
    }

    fn statistics(&mut self, _: &[Interface], _: &Ledger, _: u64) -> io::Result<()> {
        self.flush()
    }

    fn finish(&mut self, _interfaces: &[Interface], ledger: &Ledger, now_ns: u64) -> io::Result<()> {
        summary(&mut self.out, ledger, now_ns)?;
        self.out.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Writes the summary of the capture.
///
/// # Errors
/// Those of the writer.
fn summary(out: &mut impl Write, ledger: &Ledger, now_ns: u64) -> io::Result<()> {
    #[derive(Serialize)]
    struct Summary {
        schema: &'static str,
        report: &'static str,
        time: String,
        packets_captured: u64,
        received_by_filter: u64,
        dropped_by_kernel: u64,
        left_over: u64,
        map_full: u64,
        loss: Loss,
    }
    #[derive(Serialize)]
    struct Loss {
        total: u64,
        ring_full: u64,
        copy_failed: u64,
        queue_full: u64,
        write_failed: u64,
    }
    let Ledger { received, captured, ring_full, copy_failed, queue_full, write_failed, left_over, map_full } =
        *ledger;
    let summary = Summary {
        schema: SCHEMA,
        report: "capture",
        time: time(now_ns),
        packets_captured: captured,
        received_by_filter: received,
        dropped_by_kernel: ledger.dropped(),
        left_over,
        map_full,
        loss: Loss { total: ledger.dropped(), ring_full, copy_failed, queue_full, write_failed },
    };
    line(out, &summary)?;
    out.flush()
}

fn line(out: &mut impl Write, object: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, object)?;
    out.write_all(b"\n")
}

fn time(time_ns: u64) -> String {
    let time = Timestamp::from_nanosecond(time_ns.into()).unwrap_or_default();
    format!("{time:.9}")
}

fn protocol_name(ethertype: u16, protocol: Option<u8>) -> Option<&'static str> {
    Some(match (ethertype, protocol) {
        (crate::dissect::ARP, _) => "arp",
        (_, Some(1)) => "icmp",
        (_, Some(2)) => "igmp",
        (_, Some(6)) => "tcp",
        (_, Some(17)) => "udp",
        (_, Some(47)) => "gre",
        (_, Some(50)) => "esp",
        (_, Some(58)) => "icmpv6",
        (_, Some(132)) => "sctp",
        _ => return None,
    })
}
