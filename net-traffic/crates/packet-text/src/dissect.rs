//! Finds the link and network layers of a packet, as far as its captured bytes reach.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use pcap_io::LinkType;

pub(crate) const IPV4: u16 = 0x0800;
pub(crate) const ARP: u16 = 0x0806;
pub(crate) const IPV6: u16 = 0x86dd;
pub(crate) const VLAN: u16 = 0x8100;
const SERVICE_VLAN: u16 = 0x88a8;
const OLD_SERVICE_VLAN: u16 = 0x9100;
const OLDER_SERVICE_VLAN: u16 = 0x9200;

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const ICMPV6: u8 = 58;

/// The link layer of a packet.
#[derive(Debug)]
pub(crate) struct Frame<'a> {
    /// Destination and source.
    pub(crate) addresses: Option<(&'a [u8], &'a [u8])>,
    /// The VLAN tags: TPID and TCI of each.
    pub(crate) vlans: Vec<(u16, u16)>,
    /// The Ethertype of the payload; below 1536 its length.
    pub(crate) protocol: u16,
    pub(crate) payload: &'a [u8],
    pub(crate) cooked: Option<Cooked>,
}

/// The fields of a cooked header (`LINKTYPE_LINUX_SLL`, `LINKTYPE_LINUX_SLL2`).
#[derive(Debug)]
pub(crate) struct Cooked {
    pub(crate) interface: Option<u32>,
    pub(crate) packet_type: u8,
}

impl Cooked {
    /// The packet type as tcpdump writes it.
    pub(crate) fn type_name(&self) -> &'static str {
        match self.packet_type {
            0 => "In",
            1 => "B",
            2 => "M",
            3 => "P",
            4 => "Out",
            _ => "?",
        }
    }
}

/// The frame; `None` if its header is truncated or the link type is unknown.
pub(crate) fn frame(link: LinkType, data: &[u8]) -> Option<Frame<'_>> {
    let plain = |protocol, payload| {
        Some(Frame { addresses: None, vlans: Vec::new(), protocol, payload, cooked: None })
    };
    match link {
        LinkType::ETHERNET => {
            let header = data.get(..14)?;
            let mut frame = plain(u16_at(header, 12)?, &data[14..])?;
            frame.addresses = Some((&header[..6], &header[6..12]));
            skip_tags(&mut frame);
            Some(frame)
        }
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => plain(version(data), data),
        LinkType::NULL | LinkType::LOOP => plain(version(data.get(4..)?), data.get(4..)?),
        LinkType::LINUX_SLL => {
            let mut frame = plain(u16_at(data, 14)?, data.get(16..)?)?;
            let packet_type = u16_at(data, 0)?.try_into().unwrap_or(u8::MAX);
            frame.cooked = Some(Cooked { interface: None, packet_type });
            skip_tags(&mut frame);
            Some(frame)
        }
        LinkType::LINUX_SLL2 => {
            let mut frame = plain(u16_at(data, 0)?, data.get(20..)?)?;
            frame.cooked = Some(Cooked { interface: u32_at(data, 4), packet_type: *data.get(10)? });
            skip_tags(&mut frame);
            Some(frame)
        }
        _ => None,
    }
}

fn skip_tags(frame: &mut Frame<'_>) {
    while is_vlan(frame.protocol) {
        let (Some(tag), Some(protocol)) = (u16_at(frame.payload, 0), u16_at(frame.payload, 2)) else {
            return;
        };
        frame.vlans.push((frame.protocol, tag));
        frame.protocol = protocol;
        frame.payload = &frame.payload[4..];
    }
}

/// Whether the Ethertype is that of a VLAN tag.
pub(crate) fn is_vlan(protocol: u16) -> bool {
    matches!(protocol, VLAN | SERVICE_VLAN | OLD_SERVICE_VLAN | OLDER_SERVICE_VLAN)
}

fn version(data: &[u8]) -> u16 {
    match data.first().map(|first| first >> 4) {
        Some(4) => IPV4,
        Some(6) => IPV6,
        _ => 0,
    }
}

/// The addresses, ports and protocol of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct FlowTuple {
    /// The IP protocol number.
    pub(crate) protocol: Option<u8>,
    pub(crate) source: Option<IpAddr>,
    pub(crate) destination: Option<IpAddr>,
    pub(crate) ports: Option<(u16, u16)>,
}

/// The addresses and ports in the captured bytes.
pub(crate) fn flow(frame: &Frame<'_>) -> FlowTuple {
    let data = frame.payload;
    let mut flow = FlowTuple::default();
    let transport = match frame.protocol {
        IPV4 => {
            flow.source = ipv4(data, 12).map(IpAddr::V4);
            flow.destination = ipv4(data, 16).map(IpAddr::V4);
            flow.protocol = data.get(9).copied();
            let is_first = u16_at(data, 6).is_some_and(|fragment| fragment.trailing_zeros() >= 13);
            let header = data.first().map_or(0, |first| usize::from(first & 0xf) * 4);
            if is_first { data.get(header..) } else { None }
        }
        IPV6 => {
            flow.source = ipv6(data, 8).map(IpAddr::V6);
            flow.destination = ipv6(data, 24).map(IpAddr::V6);
            flow.protocol = data.get(6).copied();
            data.get(40..)
        }
        _ => None,
    };
    if matches!(flow.protocol, Some(TCP | UDP | 132)) {
        flow.ports = transport.and_then(|octets| u16_at(octets, 0).zip(u16_at(octets, 2)));
    }
    flow
}

pub(crate) fn u16_at(data: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(data.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(crate) fn u32_at(data: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(data.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

pub(crate) fn ipv4(data: &[u8], at: usize) -> Option<Ipv4Addr> {
    u32_at(data, at).map(Ipv4Addr::from_bits)
}

pub(crate) fn ipv6(data: &[u8], at: usize) -> Option<Ipv6Addr> {
    let octets: [u8; 16] = data.get(at..at.checked_add(16)?)?.try_into().ok()?;
    Some(octets.into())
}

/// The Internet checksum (RFC 1071) over several pieces, each but the last of even length. 0 if it is correct.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for piece in pieces {
        for pair in piece.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

/// The correct checksum, given the checksum field and the sum over the packet.
pub(crate) fn should_be(found: u16, sum: u16) -> u16 {
    let mut shouldbe = u32::from(found) + u32::from(sum);
    shouldbe = (shouldbe & 0xffff) + (shouldbe >> 16);
    shouldbe = (shouldbe & 0xffff) + (shouldbe >> 16);
    u16::try_from(shouldbe).unwrap_or(0)
}
