//! A packet's headers, as far as it takes to find its flow and its payload.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_skb_load_bytes, bpf_skb_load_bytes_relative, bpf_skb_pull_data},
};

use crate::kernel::constant;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const SYN: u8 = 0x02;

const ETH_P_IP: u32 = 0x0800_u16.to_be() as u32;
const ETH_P_IPV6: u32 = 0x86dd_u16.to_be() as u32;
const HDR_START_MAC: u32 = 0;
const HDR_START_NET: u32 = 1;
const ETHERNET_HEADER: u32 = 14;
/// More than the headers of any packet that is looked into.
const HEADERS: u32 = 192;

const UDP_HEADER: u32 = 8;
const TCP_HEADER: u32 = 20;
/// More extension headers than that are nobody's traffic.
const EXTENSIONS: u32 = 6;

/// Whether a packet is whole.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    First,
    /// Has no transport header.
    Later,
}

/// Addresses in network order, IPv4 in the first word; ports in network order.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Flow {
    pub source: [u32; 4],
    pub destination: [u32; 4],
    pub source_port: u16,
    pub destination_port: u16,
    pub protocol: u32,
}

/// What the fragments of one datagram have in common.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(crate) struct Datagram {
    pub source: [u32; 4],
    pub destination: [u32; 4],
    pub id: u32,
    pub ifindex: u32,
}

pub(crate) struct Packet {
    pub is_v6: bool,
    pub protocol: u8,
    pub part: Part,
    pub flow: Flow,
    /// The identification of a fragment's datagram.
    pub id: u32,
    /// Behind the IP headers, and behind the transport header.
    pub ip_payload: u32,
    pub payload: u32,
    pub sequence: u32,
    pub tcp_flags: u8,
}

/// Reads the headers; `None` for what is not IP, and for what is not as it should be.
#[inline(always)]
pub(crate) fn read(skb: *mut __sk_buff) -> Option<Packet> {
    // SAFETY: the program's context.
    let protocol = unsafe { (*skb).protocol };
    match protocol {
        ETH_P_IP => read_v4(skb),
        ETH_P_IPV6 => read_v6(skb),
        _ => None,
    }
}

/// Set by the loader where what arrives is counted by XDP, too: 1.
#[unsafe(no_mangle)]
static BEHIND_XDP: u32 = 0;

/// The length of the link's header where it is missing in an incoming packet's own length. That is so behind XDP in its
/// generic mode, when the kernel made a copy of the packet for it and forgot how long that header is.
#[inline(always)]
pub(crate) fn hidden_header(skb: *mut __sk_buff) -> u32 {
    if constant(&BEHIND_XDP) == 0 {
        return 0;
    }
    let link: Option<[u32; 3]> = load_relative(skb, 0, HDR_START_MAC);
    let (Some(link), first) = (link, load_or_zeros::<[u32; 3]>(skb, 0)) else { return 0 };
    let begins_there = link[0] == first[0] && link[1] == first[1] && link[2] == first[2];
    if begins_there { 0 } else { ETHERNET_HEADER }
}

/// Whether the packet says that it is IP.
#[inline(always)]
pub(crate) fn is_ip(skb: *mut __sk_buff) -> bool {
    // SAFETY: the program's context.
    matches!(unsafe { (*skb).protocol }, ETH_P_IP | ETH_P_IPV6)
}

/// The Ethernet address to which an incoming frame goes, in the lower six octets in network order.
#[inline(always)]
pub(crate) fn destination(skb: *mut __sk_buff) -> u64 {
    let octets: [u16; 3] = load_relative(skb, 0, HDR_START_MAC).unwrap_or_default();
    u64::from(octets[0]) | u64::from(octets[1]) << 16 | u64::from(octets[2]) << 32
}

#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq)]
struct Ipv4 {
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

#[inline(always)]
fn read_v4(skb: *mut __sk_buff) -> Option<Packet> {
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
            0 => behind_ip::<Ipv4>(skb, &ip)?.checked_sub(header)?,
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

#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq)]
struct Ipv6 {
    version_class_label: u32,
    payload: u16,
    next: u8,
    hop_limit: u8,
    source: [u32; 4],
    destination: [u32; 4],
}

/// The beginning of an extension header; of the fragment header, all of it.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Extension {
    next: u8,
    length: u8,
    offset: u16,
    id: u32,
}

#[inline(always)]
fn read_v6(skb: *mut __sk_buff) -> Option<Packet> {
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
            0 => behind_ip::<Ipv6>(skb, &ip)?.checked_sub(HEADER)?,
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
        let extension: Extension = load(skb, at)?;
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

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Ports {
    source: u16,
    destination: u16,
    /// Of TCP; UDP has length and checksum there.
    sequence: u32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct TcpRest {
    acknowledgement: u32,
    data_offset: u8,
    flags: u8,
    window: u16,
}

#[inline(always)]
fn read_transport(skb: *mut __sk_buff, mut packet: Packet, at: u32) -> Option<Packet> {
    packet.payload = packet.ip_payload;
    if packet.part == Part::Later || !matches!(packet.protocol, TCP | UDP) {
        return Some(packet);
    }
    let ports: Ports = load(skb, at)?;
    packet.flow.source_port = ports.source;
    packet.flow.destination_port = ports.destination;
    let mut header = UDP_HEADER;
    if packet.protocol == TCP {
        let rest: TcpRest = load(skb, at + UDP_HEADER)?;
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

/// How many bytes there are from the IP header on, for a packet that is too large for its header to say so: it will
/// be split before it is on the wire. `None` where that cannot be told.
#[inline(always)]
fn behind_ip<T: Copy + Default + PartialEq>(skb: *mut __sk_buff, header: &T) -> Option<u32> {
    const ETHERNET_HEADER: u32 = 14;
    // SAFETY: the program's context.
    let (length, segment) = unsafe { ((*skb).len, (*skb).gso_size) };
    if segment == 0 {
        return None;
    }
    let link = if load_or_zeros::<T>(skb, ETHERNET_HEADER) == *header {
        ETHERNET_HEADER
    } else if load_or_zeros::<T>(skb, 0) == *header {
        0
    } else {
        return None;
    };
    length.checked_sub(link)
}

/// Reads from the beginning of the packet; zeros if it is too short. Without a branch on the helper's result, which
/// older verifiers forget.
#[inline(always)]
fn load_or_zeros<T: Copy + Default>(skb: *mut __sk_buff, at: u32) -> T {
    let mut value = T::default();
    // SAFETY: the helper fills `value`, with zeros when it refuses; callers load plain integers only.
    unsafe { bpf_skb_load_bytes(skb.cast::<c_void>(), at, (&raw mut value).cast(), size_of::<T>() as u32) };
    value
}

/// Reads from the beginning of the network header, which some cards leave outside the linear part.
#[inline(always)]
fn load_first<T: Copy + Default>(skb: *mut __sk_buff) -> Option<T> {
    if let Some(header) = load(skb, 0) {
        return Some(header);
    }
    // SAFETY: the helper checks the length; no pointer into the packet is held.
    unsafe {
        let length = (*skb).len;
        bpf_skb_pull_data(skb, if length < HEADERS { length } else { HEADERS });
    }
    load(skb, 0)
}

#[inline(always)]
fn load<T: Copy + Default>(skb: *mut __sk_buff, at: u32) -> Option<T> {
    load_relative(skb, at, HDR_START_NET)
}

#[inline(always)]
fn load_relative<T: Copy + Default>(skb: *mut __sk_buff, at: u32, start: u32) -> Option<T> {
    let mut value = T::default();
    // SAFETY: the helper fills `value` or refuses; callers load plain integers only.
    let result = unsafe {
        bpf_skb_load_bytes_relative(
            skb.cast::<c_void>(),
            at,
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            start,
        )
    };
    (result == 0).then_some(value)
}
