//! Reads who speaks with whom out of a packet.

use core::mem::MaybeUninit;

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_skb_load_bytes_relative};
use net_traffic_common::Flow;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
pub(crate) const ICMP: u8 = 1;
pub(crate) const ICMPV6: u8 = 58;
/// Where a fragment belongs, in the second word of an IPv4 header.
const FRAGMENT: u32 = 0x1fff;

/// Reads the packet's headers; `None` if it has no ports where one looks for them.
#[inline(always)]
pub(crate) fn read(skb: *mut __sk_buff) -> Option<Flow> {
    // SAFETY: the program's context.
    let protocol = unsafe { u16::from_be((*skb).protocol as u16) };
    if protocol == IPV4
        && let Some(flow) = read_usual(skb)
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

/// An IPv4 header without options, and of what follows as much as is of use here.
#[repr(C)]
#[derive(Clone, Copy)]
struct Usual {
    ip: [u32; 5],
    ports: [u16; 2],
    /// The identifier of an echo, and something else.
    echo: [u16; 2],
    /// The sixth are TCP's flags.
    rest: [u8; 8],
}

/// What nearly all packets are, read in one piece; `None` for all others, which are read bit by bit.
#[inline(always)]
fn read_usual(skb: *mut __sk_buff) -> Option<Flow> {
    let Usual { ip, ports, echo, rest } = load(skb, 0)?;
    let is_later_fragment = u32::from_be(ip[1]) & FRAGMENT != 0;
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

/// Gives where the protocol above begins.
#[inline(always)]
fn read_ipv4(skb: *mut __sk_buff, flow: &mut Flow) -> Option<u32> {
    let header: [u32; 5] = load(skb, 0)?;
    // Only the first fragment has ports.
    if u32::from_be(header[1]) & FRAGMENT != 0 {
        return None;
    }
    flow.protocol = (u32::from_be(header[2]) >> 16) as u8;
    flow.source[0] = header[3];
    flow.destination[0] = header[4];
    Some((u32::from_be(header[0]) >> 24 & 0xf) * 4)
}

/// Whether a packet that has a socket needs no more: UDP, or TCP within a connection.
#[inline(always)]
pub(crate) fn is_ordinary(skb: *mut __sk_buff) -> bool {
    const FIN_OR_RST: u8 = 0x05;
    // SAFETY: the program's context.
    if unsafe { (*skb).protocol } != u32::from(IPV4.to_be()) {
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

#[inline(always)]
fn read_ipv6(skb: *mut __sk_buff, flow: &mut Flow) -> Option<u32> {
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

/// Octets behind the beginning of the network header.
#[inline(always)]
fn load<T: Copy>(skb: *mut __sk_buff, at: u32) -> Option<T> {
    const FROM_NETWORK_HEADER: u32 = 1;
    let mut value = MaybeUninit::<T>::uninit();
    let to = value.as_mut_ptr().cast();
    // SAFETY: the program's context, and a place of the size that is given, which has integers alone and is filled if
    // the helper does not fail.
    unsafe {
        let failed =
            bpf_skb_load_bytes_relative(skb.cast(), at, to, size_of::<T>() as u32, FROM_NETWORK_HEADER);
        if failed == 0 { Some(value.assume_init()) } else { None }
    }
}
