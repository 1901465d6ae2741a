//! Reads a packet's flow: addresses, protocol and ports.

use net_traffic_common::{Flow, Plain, plain};

use crate::skb::{Skb, Start};

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;
/// The fragment offset, in the second word of an IPv4 header.
const FRAGMENT_OFFSET: u32 = 0x1fff;

/// Reads the packet's headers; `None` for a packet that is not IP, is malformed, or is a later fragment.
#[inline(always)]
pub(crate) fn read(skb: Skb) -> Option<Flow> {
    let protocol = u16::from_be(skb.protocol() as u16);
    if protocol == IPV4
        && let Some(flow) = read_common(skb)
    {
        return Some(flow);
    }
    let mut flow = Flow::default();
    let at = match protocol {
        IPV4 => read_ipv4(skb, &mut flow)?,
        IPV6 => read_ipv6(skb, &mut flow)?,
        _ => return None,
    };
    let ports: [u16; 2] = load(skb, at)?;
    match flow.protocol {
        TCP => {
            (flow.source_port, flow.destination_port) = (ports[0], ports[1]);
            let octets: [u8; 2] = load(skb, at + 12)?;
            flow.tcp_flags = octets[1];
        }
        UDP => (flow.source_port, flow.destination_port) = (ports[0], ports[1]),
        ICMP | ICMPV6 => {
            let id: [u16; 1] = load(skb, at + 4)?;
            (flow.source_port, flow.destination_port) = (id[0], id[0]);
        }
        _ => {}
    }
    Some(flow)
}

plain! {
    /// An IPv4 header without options, and the beginning of the next header.
    struct CommonHeaders: 36 {
        ip: [u32; 5],
        ports: [u16; 2],
        /// The identifier of an echo, and another field.
        echo: [u16; 2],
        /// The sixth octet holds TCP's flags.
        rest: [u8; 8],
    }
}

/// Reads the headers of the common packet by one helper call; `None` for all others, which take several.
#[inline(always)]
fn read_common(skb: Skb) -> Option<Flow> {
    let CommonHeaders { ip, ports, echo, rest } = load(skb, 0)?;
    let is_later_fragment = u32::from_be(ip[1]) & FRAGMENT_OFFSET != 0;
    if ip[0].to_ne_bytes()[0] & 0xf != 5 || is_later_fragment {
        return None;
    }
    let protocol = (u32::from_be(ip[2]) >> 16) as u8;
    let (source_port, destination_port) = match protocol {
        TCP | UDP => (ports[0], ports[1]),
        ICMP | ICMPV6 => (echo[0], echo[0]),
        _ => (0, 0),
    };
    let tcp_flags = if protocol == TCP { rest[5] } else { 0 };
    let (source, destination) = ([ip[3], 0, 0, 0], [ip[4], 0, 0, 0]);
    Some(Flow {
        source,
        destination,
        source_port,
        destination_port,
        protocol,
        is_v6: 0,
        tcp_flags,
        reserved: 0,
    })
}

/// Reads the IPv4 header and returns the offset of the next header; `None` for a later fragment, which has no ports.
#[inline(always)]
fn read_ipv4(skb: Skb, flow: &mut Flow) -> Option<u32> {
    let header: [u32; 5] = load(skb, 0)?;
    if u32::from_be(header[1]) & FRAGMENT_OFFSET != 0 {
        return None;
    }
    flow.protocol = (u32::from_be(header[2]) >> 16) as u8;
    flow.source[0] = header[3];
    flow.destination[0] = header[4];
    Some((u32::from_be(header[0]) >> 24 & 0xf) * 4)
}

/// Whether later packets of the flow will have a socket like this one: UDP, or TCP without FIN and RST.
#[inline(always)]
pub(crate) fn is_ordinary(skb: Skb) -> bool {
    const FIN_OR_RST: u8 = 0x05;
    if skb.protocol() != u32::from(IPV4.to_be()) {
        return false;
    }
    let Some(header) = load::<[u32; 3]>(skb, 0) else { return false };
    match (u32::from_be(header[2]) >> 16) as u8 {
        UDP => true,
        TCP => {
            let at = (u32::from_be(header[0]) >> 24 & 0xf) * 4;
            load::<[u8; 1]>(skb, at + 13).is_some_and(|flags| flags[0] & FIN_OR_RST == 0)
        }
        _ => false,
    }
}

/// The same for IPv6, behind its extension headers.
#[inline(always)]
fn read_ipv6(skb: Skb, flow: &mut Flow) -> Option<u32> {
    let mut next: [u8; 1] = load(skb, 6)?;
    flow.is_v6 = 1;
    flow.source = load(skb, 8)?;
    flow.destination = load(skb, 24)?;
    let mut at = 40;
    for _ in 0..2 {
        // Hop-by-hop, routing and destination options.
        if !matches!(next[0], 0 | 43 | 60) {
            break;
        }
        let extension: [u8; 2] = load(skb, at)?;
        next[0] = extension[0];
        at += (u32::from(extension[1]) + 1) * 8;
    }
    flow.protocol = next[0];
    Some(at)
}

/// Reads octets at `at` behind the beginning of the network header.
#[inline(always)]
fn load<T: Plain>(skb: Skb, at: u32) -> Option<T> {
    skb.load(at, Start::NetworkHeader)
}
