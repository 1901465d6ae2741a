//! Reads the endpoints and the length of a packet from its headers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use net_traffic_snapshot::{Endpoint, Protocol};

/// The outermost header of a packet, `PKTMON_PACKET_TYPE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType {
    Ethernet,
    Wifi,
    Ip,
    Other(u16),
}

impl PacketType {
    pub(super) fn of(number: u16) -> Self {
        match number {
            1 => Self::Ethernet,
            2 => Self::Wifi,
            3 => Self::Ip,
            other => Self::Other(other),
        }
    }
}

/// Source and destination of a TCP or UDP packet; `None` for others, and for later fragments, which have no ports.
#[must_use]
pub fn ends(kind: PacketType, packet: &[u8]) -> Option<(Protocol, Endpoint, Endpoint)> {
    let ip = match kind {
        PacketType::Ethernet => network_layer(packet)?,
        PacketType::Ip => packet,
        PacketType::Wifi | PacketType::Other(_) => return None,
    };
    match ip.first()? >> 4 {
        4 => v4(ip),
        6 => v6(ip),
        _ => None,
    }
}

/// The length of a truncated packet by its IP header; `None` without one. Packets for segmentation offload may have a
/// length of 0.
#[must_use]
pub fn length_by_headers(kind: PacketType, packet: &[u8]) -> Option<u32> {
    const V6_HEADER: usize = 40;
    let ip = match kind {
        PacketType::Ethernet => network_layer(packet)?,
        PacketType::Ip => packet,
        PacketType::Wifi | PacketType::Other(_) => return None,
    };
    let field = |at: usize| Some(usize::from(u16::from_be_bytes(*ip.get(at..)?.first_chunk()?)));
    let length = match ip.first()? >> 4 {
        4 => field(2)?,
        6 => field(4)?.checked_add(V6_HEADER).filter(|length| *length > V6_HEADER)?,
        _ => return None,
    };
    u32::try_from(packet.len() - ip.len() + length).ok()
}

/// The payload after the Ethernet header and its VLAN tags.
fn network_layer(frame: &[u8]) -> Option<&[u8]> {
    let mut rest = frame.get(12..)?;
    loop {
        let (kind, after) = rest.split_first_chunk::<2>()?;
        match u16::from_be_bytes(*kind) {
            0x8100 | 0x88a8 => rest = after.get(2..)?,
            0x0800 | 0x86dd => return Some(after),
            _ => return None,
        }
    }
}

fn v4(ip: &[u8]) -> Option<(Protocol, Endpoint, Endpoint)> {
    const OFFSET: u16 = 0x1fff;
    let header: &[u8; 20] = ip.first_chunk()?;
    if u16::from_be_bytes([header[6], header[7]]) & OFFSET != 0 {
        return None;
    }
    let length = usize::from(header[0] & 0x0f) * 4;
    let address = |at: usize| -> IpAddr {
        Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).into()
    };
    with_ports(header[9], ip.get(length.max(20)..)?, address(12), address(16))
}

fn v6(ip: &[u8]) -> Option<(Protocol, Endpoint, Endpoint)> {
    let (header, rest) = ip.split_first_chunk::<40>()?;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = *header.get(at..)?.first_chunk()?;
        Some(Ipv6Addr::from(octets).into())
    };
    with_ports(header[6], rest, address(8)?, address(24)?)
}

fn with_ports(
    protocol: u8,
    transport: &[u8],
    source: IpAddr,
    destination: IpAddr,
) -> Option<(Protocol, Endpoint, Endpoint)> {
    let protocol = match protocol {
        6 => Protocol::Tcp,
        17 => Protocol::Udp,
        _ => return None,
    };
    let [a, b, c, d] = *transport.first_chunk()?;
    let end = |address, port| Endpoint { address, port };
    let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    Some((protocol, end(source, ports.0), end(destination, ports.1)))
}
