//! A packet's headers, as far as its flow and its payload need them.

use net_traffic_common::{Plain, plain};

use crate::{
    kernel::constant,
    skb::{Skb, Start},
};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SYN: u8 = 0x02;

const ETH_P_IP: u32 = 0x0800_u16.to_be() as u32;
const ETH_P_IPV6: u32 = 0x86dd_u16.to_be() as u32;
const ETHERNET_HEADER: u32 = 14;
/// More than the headers that are read of any packet.
const HEADERS: u32 = 192;

const UDP_HEADER: u32 = 8;
const TCP_HEADER: u32 = 20;
/// The most extension headers that are read. Hosts send fewer.
const EXTENSIONS: u32 = 6;

/// Whether a packet is a whole datagram or a fragment.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    First,
    /// Has no transport header.
    Later,
}

plain! {
    /// Addresses in network order, IPv4 in the first word; ports in network order.
    pub(crate) struct Flow: 40 {
        pub(crate) source: [u32; 4],
        pub(crate) destination: [u32; 4],
        pub(crate) source_port: u16,
        pub(crate) destination_port: u16,
        pub(crate) protocol: u32,
    }
}

plain! {
    /// The fields that the fragments of one datagram share.
    pub(crate) struct Datagram: 40 {
        pub(crate) source: [u32; 4],
        pub(crate) destination: [u32; 4],
        pub(crate) id: u32,
        pub(crate) ifindex: u32,
    }
}

pub(crate) struct Packet {
    pub is_v6: bool,
    pub protocol: u8,
    pub part: Part,
    pub flow: Flow,
    /// The identification of a fragment's datagram.
    pub id: u32,
    /// Bytes behind the IP headers, and behind the transport header.
    pub ip_payload: u32,
    pub payload: u32,
    pub sequence: u32,
    pub tcp_flags: u8,
}

/// Reads the headers; `None` for a packet that is not IP or is malformed.
#[inline(always)]
pub(crate) fn read(skb: Skb) -> Option<Packet> {
    match skb.protocol() {
        ETH_P_IP => read_v4(skb),
        ETH_P_IPV6 => read_v6(skb),
        _ => None,
    }
}

/// 1 where XDP counts received frames too; set by the loader.
#[unsafe(no_mangle)]
static COUNTS_XDP_RX: u32 = 0;

/// The length of the MAC header where it is missing in a received packet's length. Before the hook runs, the kernel
/// [prepends][push] `skb->mac_len` octets. Generic XDP [copies the packet][copy] if there is too little headroom, and
/// the copy's `mac_len` is 0.
///
/// [push]: https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L4200
/// [copy]: https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L5216-L5221
#[inline(always)]
pub(crate) fn missing_mac_header(skb: Skb) -> u32 {
    if constant(&COUNTS_XDP_RX) == 0 {
        return 0;
    }
    let link: Option<[u32; 3]> = skb.load(0, Start::MacHeader);
    let (Some(link), first) = (link, skb.load_or_zeros::<[u32; 3]>(0)) else { return 0 };
    let begins_there = link[0] == first[0] && link[1] == first[1] && link[2] == first[2];
    if begins_there { 0 } else { ETHERNET_HEADER }
}

/// Whether the packet's protocol is IP.
#[inline(always)]
pub(crate) fn is_ip(skb: Skb) -> bool {
    matches!(skb.protocol(), ETH_P_IP | ETH_P_IPV6)
}

/// The destination MAC address of a received frame, in the lower six octets in network order.
#[inline(always)]
pub(crate) fn destination_mac(skb: Skb) -> u64 {
    let octets: [u16; 3] = skb.load(0, Start::MacHeader).unwrap_or_default();
    u64::from(octets[0]) | u64::from(octets[1]) << 16 | u64::from(octets[2]) << 32
}

plain! {
    struct Ipv4: 20 {
        version_length: u8,
        tos: u8,
        total: u16,
        id: u16,
        fragment: u16,
        ttl: u8,
        protocol: u8,
        checksum: u16,
        source: u32,
        destination: u32,
    }
}

#[inline(always)]
fn read_v4(skb: Skb) -> Option<Packet> {
    const MORE_FRAGMENTS: u16 = 0x2000;
    const FRAGMENT_OFFSET: u16 = 0x1fff;
    let ip: Ipv4 = load_first(skb)?;
    let header = u32::from(ip.version_length & 0xf) * 4;
    let fragment = u16::from_be(ip.fragment);
    let mut packet = Packet {
        is_v6: false,
        protocol: ip.protocol,
        part: match (fragment & FRAGMENT_OFFSET, fragment & MORE_FRAGMENTS) {
            (0, 0) => Part::Whole,
            (0, _) => Part::First,
            _ => Part::Later,
        },
        flow: Flow { protocol: u32::from(ip.protocol), ..Flow::default() },
        id: u32::from(ip.id),
        ip_payload: match u16::from_be(ip.total) {
            0 => bytes_from(skb, &ip)?.checked_sub(header)?,
            total => u32::from(total).checked_sub(header)?,
        },
        payload: 0,
        sequence: 0,
        tcp_flags: 0,
    };
    packet.flow.source[0] = ip.source;
    packet.flow.destination[0] = ip.destination;
    read_transport(skb, packet, header)
}

plain! {
    struct Ipv6: 40 {
        version_class_label: u32,
        payload: u16,
        next: u8,
        hop_limit: u8,
        source: [u32; 4],
        destination: [u32; 4],
    }
}

plain! {
    /// The beginning of an extension header; all of a fragment header.
    struct Extension: 8 {
        next: u8,
        length: u8,
        offset: u16,
        id: u32,
    }
}

#[inline(always)]
fn read_v6(skb: Skb) -> Option<Packet> {
    const HOP_BY_HOP: u8 = 0;
    const ROUTING: u8 = 43;
    const FRAGMENT: u8 = 44;
    const DESTINATION: u8 = 60;
    const HEADER: u32 = 40;
    let ip: Ipv6 = load_first(skb)?;
    let mut packet = Packet {
        is_v6: true,
        protocol: ip.next,
        part: Part::Whole,
        flow: Flow { source: ip.source, destination: ip.destination, ..Flow::default() },
        id: 0,
        ip_payload: match u16::from_be(ip.payload) {
            0 => bytes_from(skb, &ip)?.checked_sub(HEADER)?,
            payload => u32::from(payload),
        },
        payload: 0,
        sequence: 0,
        tcp_flags: 0,
    };
    let mut at = HEADER;
    for _ in 0..EXTENSIONS {
        if !matches!(packet.protocol, HOP_BY_HOP | ROUTING | FRAGMENT | DESTINATION)
            || packet.part == Part::Later
        {
            break;
        }
        let extension: Extension = skb.load(at, Start::NetworkHeader)?;
        let mut length = 8 + u32::from(extension.length) * 8;
        if packet.protocol == FRAGMENT {
            length = 8;
            packet.id = extension.id;
            let offset = u16::from_be(extension.offset);
            packet.part = match (offset >> 3, offset & 1) {
                (0, 0) => Part::Whole,
                (0, _) => Part::First,
                _ => Part::Later,
            };
        }
        packet.protocol = extension.next;
        packet.ip_payload = packet.ip_payload.checked_sub(length)?;
        at += length;
    }
    packet.flow.protocol = u32::from(packet.protocol);
    read_transport(skb, packet, at)
}

plain! {
    struct Ports: 8 {
        source: u16,
        destination: u16,
        /// TCP's; UDP has its length and checksum there.
        sequence: u32,
    }
}

plain! {
    struct TcpRest: 8 {
        acknowledgement: u32,
        data_offset: u8,
        flags: u8,
        window: u16,
    }
}

#[inline(always)]
fn read_transport(skb: Skb, mut packet: Packet, at: u32) -> Option<Packet> {
    packet.payload = packet.ip_payload;
    if packet.part == Part::Later || !matches!(packet.protocol, TCP | UDP) {
        return Some(packet);
    }
    let ports: Ports = skb.load(at, Start::NetworkHeader)?;
    packet.flow.source_port = ports.source;
    packet.flow.destination_port = ports.destination;
    let mut header = UDP_HEADER;
    if packet.protocol == TCP {
        let rest: TcpRest = skb.load(at + UDP_HEADER, Start::NetworkHeader)?;
        packet.sequence = u32::from_be(ports.sequence);
        packet.tcp_flags = rest.flags;
        header = u32::from(rest.data_offset >> 4) * 4;
        if header < TCP_HEADER {
            return None;
        }
    }
    packet.payload = packet.ip_payload.checked_sub(header)?;
    Some(packet)
}

/// The bytes from the IP header on, for a GSO packet whose length does not fit into the header. `None` where the
/// header is not found.
#[inline(always)]
fn bytes_from<T: Plain + Default + PartialEq>(skb: Skb, header: &T) -> Option<u32> {
    if skb.gso_size() == 0 {
        return None;
    }
    let link = if skb.load_or_zeros::<T>(ETHERNET_HEADER) == *header {
        ETHERNET_HEADER
    } else if skb.load_or_zeros::<T>(0) == *header {
        0
    } else {
        return None;
    };
    skb.len().checked_sub(link)
}

/// Reads from the beginning of the network header, which some drivers leave outside the linear part.
#[inline(always)]
fn load_first<T: Plain>(skb: Skb) -> Option<T> {
    if let Some(header) = skb.load(0, Start::NetworkHeader) {
        return Some(header);
    }
    skb.pull(HEADERS);
    skb.load(0, Start::NetworkHeader)
}
