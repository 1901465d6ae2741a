//! The link layer: addresses, VLAN tags, LLC.

use super::spanning_tree::spanning_tree;
use super::{Printer, mac, push};
use crate::dissect::{ARP, Frame, IPV4, IPV6, frame, is_vlan};
use pcap_io::LinkType;

pub(super) const REVERSE_ARP: u16 = 0x8035;
pub(super) const MPLS: u16 = 0x8847;
pub(super) const MPLS_MULTICAST: u16 = 0x8848;
pub(super) const PPPOE_DISCOVERY: u16 = 0x8863;
pub(super) const PPPOE_SESSION: u16 = 0x8864;
/// Transparent Ethernet bridging: a whole frame in a tunnel.
pub(super) const BRIDGED: u16 = 0x6558;
pub(super) const LLDP: u16 = 0x88cc;
/// A smaller Ethertype is a length, and LLC follows (IEEE 802.3).
const LEAST_TYPE: u16 = 1536;

impl Printer {
    /// Appends a frame. Its header is printed with `-e`, or if the payload's protocol is unknown. `length` is the size of
    /// the frame, captured or not.
    pub(super) fn frame(&mut self, text: &mut String, frame: &Frame<'_>, header: usize, length: usize) {
        let (kind, payload) = (frame.protocol, frame.payload);
        let inside = length.saturating_sub(header);
        let known = is_known(kind) || kind < LEAST_TYPE && Llc::of(payload).is_some();
        if self.settings.link && header == 0 {
            text.push_str("ip: ");
        } else if self.settings.link || !known {
            self.link_header(text, frame, length);
        }
        if !known {
            return self.default_dump(text, payload);
        }
        if is_vlan(kind) {
            return text.push_str(" [|vlan]");
        }
        if kind >= LEAST_TYPE {
            return self.network(text, kind, payload, inside);
        }
        // The bytes after the length are padding.
        let inside = inside.min(kind.into());
        let payload = payload.get(..inside).unwrap_or(payload);
        if self.settings.link {
            llc_header(text, payload);
        }
        match Llc::of(payload) {
            Some(Llc::SpanningTree(unit)) => {
                let printed = spanning_tree(text, unit, inside - 3, self.settings.verbose > 0);
                text.push_str(if printed.is_some() { "" } else { " [|stp]" });
            }
            Some(Llc::Snap(kind, payload)) => {
                if self.settings.link {
                    let (name, inside) = (ethertype(kind), inside - 8);
                    push(text, format_args!("oui Ethernet (0x000000), ethertype {name} (0x{kind:04x}), "));
                    push(text, format_args!("length {inside}: "));
                }
                self.network(text, kind, payload, inside - 8);
            }
            None => {}
        }
    }

    /// Appends a frame within a tunnel.
    pub(super) fn bridged(&mut self, text: &mut String, data: &[u8], length: usize) {
        if !self.deeper(text) {
            return;
        }
        match frame(LinkType::ETHERNET, data) {
            Some(frame) => self.frame(text, &frame, data.len() - frame.payload.len(), length),
            None => text.push_str(" [|ether]"),
        }
        self.depth -= 1;
    }

    fn link_header(&self, text: &mut String, frame: &Frame<'_>, length: usize) {
        if let Some((destination, source)) = frame.addresses {
            mac(text, source);
            text.push_str(" > ");
            mac(text, destination);
            text.push_str(", ");
        }
        let types = frame.vlans.iter().map(|(announced, _)| *announced).chain([frame.protocol]);
        let mut tags = frame.vlans.iter();
        for (place, kind) in types.enumerate() {
            let tag = tags.next();
            if tag.is_none() && is_vlan(kind) {
                return;
            }
            let name = ethertype(kind);
            let is_length = kind < LEAST_TYPE;
            match (is_length, self.settings.quick) {
                (true, _) => text.push_str("802.3"),
                (_, true) if name == UNKNOWN => push(text, format_args!("{name} Ethertype (0x{kind:04x})")),
                (_, true) => text.push_str(name),
                (_, false) => push(text, format_args!("ethertype {name} (0x{kind:04x})")),
            }
            // Only the first type has the length.
            if place == 0 {
                let length = if is_length { kind.into() } else { length };
                push(text, format_args!(", length {length}: "));
            } else if !is_length {
                text.push_str(", ");
            }
            if let Some((_, tag)) = tag {
                push(text, format_args!("vlan {}, p {}", tag & 0xfff, tag >> 13));
                text.push_str(if tag & 0x1000 == 0 { ", " } else { ", DEI, " });
            }
        }
    }
}

/// The known LLC payloads.
enum Llc<'a> {
    SpanningTree(&'a [u8]),
    /// An Ethertype and its payload.
    Snap(u16, &'a [u8]),
}

impl<'a> Llc<'a> {
    fn of(payload: &'a [u8]) -> Option<Self> {
        match payload {
            [0x42, 0x42, 0x03, unit @ ..] => Some(Self::SpanningTree(unit)),
            [0xaa, 0xaa, 0x03, 0, 0, 0, high, low, inside @ ..] => {
                let kind = u16::from_be_bytes([*high, *low]);
                is_known(kind).then_some(Self::Snap(kind, inside))
            }
            _ => None,
        }
    }
}

fn llc_header(text: &mut String, payload: &[u8]) {
    let Some([to, from, control]) = payload.first_chunk() else { return };
    let name = if *to == 0x42 { "STP" } else { "SNAP" };
    push(text, format_args!("LLC, dsap {name} (0x{to:02x}) Individual, "));
    push(text, format_args!("ssap {name} (0x{from:02x}) Command, ctrl 0x{control:02x}: "));
}

const UNKNOWN: &str = "Unknown";

fn ethertype(kind: u16) -> &'static str {
    match kind {
        IPV4 => "IPv4",
        IPV6 => "IPv6",
        ARP => "ARP",
        REVERSE_ARP => "Reverse ARP",
        0x8100 => "802.1Q",
        0x88a8 => "802.1Q-QinQ",
        0x9100 => "802.1Q-9100",
        0x9200 => "802.1Q-9200",
        MPLS => "MPLS unicast",
        MPLS_MULTICAST => "MPLS multicast",
        PPPOE_DISCOVERY => "PPPoE D",
        PPPOE_SESSION => "PPPoE S",
        LLDP => "LLDP",
        0x8809 => "Slow Protocols",
        0x888e => "EAPOL",
        0x88e5 => "802.1AE MACsec",
        0x88f7 => "PTP",
        0x893a => "IEEE1905.1",
        0x9000 => "Loopback",
        _ => UNKNOWN,
    }
}

fn is_known(kind: u16) -> bool {
    is_vlan(kind)
        || matches!(
            kind,
            IPV4 | IPV6 | ARP | REVERSE_ARP | MPLS | MPLS_MULTICAST | PPPOE_DISCOVERY | PPPOE_SESSION | LLDP
        )
}
