//! Packets as text, as `tcpdump -n` prints them, with the process at the end of the line; and as JSON Lines.
//!
//! Data flows one way: capture -> [`Packet`] -> [`TextPackets`] or [`JsonPackets`] -> writer. The printer is the
//! dissector: a function for a layer appends text while it reads the bytes. It returns `None` if the captured bytes end
//! within the layer, and its caller then appends `[|layer]`, as tcpdump does.
//!
//! To add a protocol: write one file with a function for its layer, and call it where its number is known: in
//! `Printer::network` (Ethertype), `Printer::upper` (IP protocol), or `Printer::udp` and `Printer::tcp` (port). The tests
//! in `tests/capture` compare the text with that of tcpdump.

#![forbid(unsafe_code)]

mod application;
mod arp;
mod dissect;
mod dns;
mod gre;
mod hex;
mod icmp;
mod icmp6;
mod igmp;
mod ip;
mod json;
mod link;
mod lldp;
mod mpls;
mod neighbour;
mod pppoe;
mod routing;
mod sctp;
mod spanning_tree;
mod tcp;
mod time;
mod tls;
mod tunnel;
mod udp;

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;

pub use self::json::JsonPackets;
use self::time::Clock;
pub use self::time::Stamp;
use crate::dissect::{ARP, IPV4, IPV6, frame};
use net_traffic_capture::{Ledger, PacketSink};
use pcap_io::{Direction, Interface, LinkType, Packet, Process};

/// The amount of text, by tcpdump's flags
/// (<https://man7.org/linux/man-pages/man1/tcpdump.1.html>).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct Settings {
    pub stamp: Stamp,
    /// `-e`
    pub link: bool,
    /// `-q`
    pub quick: bool,
    /// The number of `-v`
    pub verbose: u8,
    /// `-S`
    pub absolute: bool,
    /// `-K`
    pub unchecked: bool,
    /// `-#`
    pub number: bool,
    /// Starts lines with the interface also if there is only one.
    pub interface: bool,
    pub dump: Dump,
}

/// The bytes to print below the line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dump {
    /// The number of `-x` or `-X`; twice includes the link layer.
    pub hex: u8,
    /// `-X`: with characters.
    pub characters: bool,
    /// The number of `-A`; twice includes the link layer.
    pub ascii: u8,
}

/// Writes a line of text a packet.
#[derive(Debug)]
pub struct TextPackets<W> {
    out: W,
    printer: Printer,
    clock: Clock,
    count: u64,
    text: String,
}

/// Appends the text of one packet. A function for a layer returns `None` if the captured bytes end within it.
#[derive(Debug)]
pub(crate) struct Printer {
    settings: Settings,
    streams: HashMap<tcp::Stream, tcp::InitialSequence>,
    /// The number of enclosing packets.
    depth: u8,
}

/// Deeper tunnels are not dissected.
const MOST_LAYERS: u8 = 32;

impl<W: Write> TextPackets<W> {
    pub fn new(out: W, settings: Settings) -> Self {
        let printer = Printer { settings, streams: HashMap::new(), depth: 0 };
        Self { out, printer, clock: Clock::new(settings.stamp), count: 0, text: String::new() }
    }
}

impl TextPackets<Vec<u8>> {
    /// A printer whose caller takes each line instead of a writer.
    pub(crate) fn bare(settings: Settings) -> Self {
        Self::new(Vec::new(), settings)
    }

    /// The packet's text without time, interface and process.
    pub(crate) fn line(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> &str {
        self.text.clear();
        let link = interfaces.get(packet.interface).map_or(LinkType(u16::MAX), |interface| interface.link);
        self.printer.packet(&mut self.text, link, &Packet { process: None, ..*packet });
        &self.text
    }
}

impl<W: Write> PacketSink for TextPackets<W> {
    fn packet(&mut self, interfaces: &[Interface], packet: &Packet<'_>) -> io::Result<()> {
        self.text.clear();
        self.count += 1;
        if self.printer.settings.number {
            push(&mut self.text, format_args!("{:5}  ", self.count));
        }
        self.clock.stamp(&mut self.text, packet.time_ns);
        let interface = interfaces.get(packet.interface);
        if self.printer.settings.interface || interfaces.len() > 1 {
            interface_prefix(&mut self.text, interface, packet.direction);
        }
        let link = interface.map_or(LinkType(u16::MAX), |interface| interface.link);
        self.printer.packet(&mut self.text, link, packet);
        self.text.push('\n');
        self.out.write_all(self.text.as_bytes())
    }

    fn statistics(&mut self, _: &[Interface], _: &Ledger, _: u64) -> io::Result<()> {
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// The start of a line with `-i any`.
fn interface_prefix(text: &mut String, interface: Option<&Interface>, direction: Option<Direction>) {
    let name = interface.and_then(|interface| interface.name.as_deref()).unwrap_or("?");
    let direction = match direction {
        Some(Direction::In) => "In",
        Some(Direction::Out) => "Out",
        None => "?",
    };
    push(text, format_args!("{name:<5} {direction:<3} "));
}

impl Printer {
    /// Appends one packet without its time and without a line break.
    pub(crate) fn packet(&mut self, text: &mut String, link: LinkType, packet: &Packet<'_>) {
        let data = packet.data;
        let Some(frame) = frame(link, data) else {
            match link {
                LinkType::ETHERNET => text.push_str(" [|ether]"),
                _ if link.names().is_some() => text.push_str("[|link]"),
                _ => push(text, format_args!("unknown link type {}, length {}", link.0, packet.length)),
            }
            owner(text, packet.process);
            hex::dump(text, self.settings.dump, data, 0);
            return;
        };
        if let Some(cooked) = &frame.cooked {
            if let Some(index) = cooked.interface {
                push(text, format_args!("{:<5} ", format!("if{index}")));
            }
            push(text, format_args!("{:<3} ", cooked.type_name()));
        }
        let header = data.len() - frame.payload.len();
        let length = usize::try_from(packet.length).unwrap_or(usize::MAX).max(data.len());
        self.depth = 0;
        self.frame(text, &frame, header, length);
        owner(text, packet.process);
        hex::dump(text, self.settings.dump, data, header);
    }

    /// `length` is the size of the network layer's packet, captured or not.
    fn network(&mut self, text: &mut String, protocol: u16, data: &[u8], length: usize) {
        if !self.deeper(text) {
            return;
        }
        let printed = match protocol {
            IPV4 => self.ipv4(text, data, length).ok_or("ip"),
            IPV6 => self.ipv6(text, data, length).ok_or("ip6"),
            ARP | link::REVERSE_ARP => self.arp(text, data, length).ok_or("arp"),
            link::PPPOE_DISCOVERY | link::PPPOE_SESSION => self.pppoe(text, data, length).ok_or("pppoe"),
            link::LLDP => lldp::lldp(text, data, length).ok_or("lldp"),
            link::MPLS | link::MPLS_MULTICAST => {
                self.mpls(text, data, length);
                Ok(())
            }
            _ => Ok(()),
        };
        if let Err(layer) = printed {
            push(text, format_args!(" [|{layer}]"));
        }
        self.depth -= 1;
    }

    /// Enters a further packet, unless the limit is reached.
    fn deeper(&mut self, text: &mut String) -> bool {
        if self.depth >= MOST_LAYERS {
            text.push_str("[too many layers]");
            return false;
        }
        self.depth += 1;
        true
    }

    /// Dumps the bytes of an unknown protocol, unless the flags select another dump.
    fn default_dump(&self, text: &mut String, data: &[u8]) {
        if self.settings.dump.hex == 0 && !self.settings.quick {
            hex::characters(text, data);
        }
    }
}

/// ` process[pid]`, and the container.
fn owner(text: &mut String, process: Option<&Arc<Process>>) {
    let Some(process) = process else { return };
    let name = if process.name.is_empty() { "?" } else { &process.name };
    text.push(' ');
    text.extend(name.chars().map(|c| if c.is_control() { '?' } else { c }));
    push(text, format_args!("[{}]", process.pid));
    if let Some(container) = &process.container {
        text.push(' ');
        text.extend(container.label().chars().filter(|c| !c.is_control()));
    }
}

fn mac(text: &mut String, address: &[u8]) {
    for (place, octet) in address.iter().enumerate() {
        let separator = if place == 0 { "" } else { ":" };
        push(text, format_args!("{separator}{octet:02x}"));
    }
}

/// An address with its port as tcpdump writes it: `192.0.2.1.80`.
fn endpoint(text: &mut String, address: IpAddr, port: u16) {
    push(text, format_args!("{address}.{port}"));
}

/// Writing to a string cannot fail.
fn push(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    let written = text.write_fmt(arguments);
    debug_assert!(written.is_ok());
}
