//! The class of a packet that arrives, by the socket to which it is addressed.

use net_traffic_common::{CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, DIRECTION_RX};

use super::{
    divisible, first_transmission,
    forwarded::{is_for_other_host, is_forwarded},
    unread,
};
use crate::{
    account::interface::Verdict,
    maps::FRAGMENTED,
    packet::{self, Datagram, Flow, Packet, Part, TCP, UDP},
    skb::Skb,
    socket_lookup::{CURRENT_NETNS, Tuple, find_tcp, find_udp},
};

const TIME_WAIT: u32 = 6;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;

#[inline(always)]
pub(super) fn verdict(skb: Skb) -> Verdict {
    let Some(packet) = packet::read(skb) else { return unread(skb, is_for_other_host(skb)) };
    let (class, payload) = match (packet.part, packet.protocol) {
        (Part::Later, _) => later_fragment(skb, &packet),
        (_, TCP) => incoming_tcp(skb, &packet),
        (_, UDP) => incoming_udp(skb, &packet),
        _ => (unmatched(skb, &packet), 0),
    };
    if packet.part == Part::First {
        let _stored = FRAGMENTED.insert(datagram(skb, &packet), u32::from(class), 0);
    }
    Verdict { class, payload, divisible: divisible(skb, &packet) }
}

#[inline(always)]
fn incoming_tcp(skb: Skb, packet: &Packet) -> (u16, u32) {
    let Some(sk) = find_tcp(skb, &mut tuple(packet), CURRENT_NETNS) else {
        return (unmatched(skb, packet), 0);
    };
    let state = sk.state();
    let payload = match state {
        // A new connection has no full socket to store a position in, and its first payload passes once.
        LISTEN | NEW_SYN_RECV => packet.payload,
        TIME_WAIT => 0,
        _ => first_transmission(sk.assume_full(), packet, skb, DIRECTION_RX),
    };
    drop(sk);
    // A listening socket matches packets for any host's address.
    if state == LISTEN && is_forwarded(skb, packet) {
        return (CLASS_FORWARDED, 0);
    }
    (CLASS_PROCESS, payload)
}

#[inline(always)]
fn incoming_udp(skb: Skb, packet: &Packet) -> (u16, u32) {
    let Some(sk) = find_udp(skb, &mut tuple(packet), CURRENT_NETNS) else {
        return (unmatched(skb, packet), 0);
    };
    let (is_connected, is_tunnel) = (sk.is_connected(), sk.is_tunnel());
    drop(sk);
    if is_tunnel {
        return (unmatched(skb, packet), 0);
    }
    if !is_connected && is_forwarded(skb, packet) {
        return (CLASS_FORWARDED, 0);
    }
    (CLASS_PROCESS, packet.payload)
}

/// The class of a packet for which there is no socket.
#[inline(always)]
fn unmatched(skb: Skb, packet: &Packet) -> u16 {
    if is_forwarded(skb, packet) { CLASS_FORWARDED } else { CLASS_KERNEL }
}

/// A fragment without ports has the class of the datagram's first fragment, if that came first.
#[inline(always)]
fn later_fragment(skb: Skb, packet: &Packet) -> (u16, u32) {
    // SAFETY: the value is an integer.
    match unsafe { FRAGMENTED.get(datagram(skb, packet)) } {
        Some(class) if *class == u32::from(CLASS_PROCESS) => (CLASS_PROCESS, packet.payload),
        Some(class) => (*class as u16, 0),
        None => (CLASS_UNKNOWN, 0),
    }
}

#[inline(always)]
fn datagram(skb: Skb, packet: &Packet) -> Datagram {
    let Flow { source, destination, .. } = packet.flow;
    Datagram { source, destination, id: packet.id, ifindex: skb.ifindex() }
}

/// The key of the socket to which the packet is addressed.
#[inline(always)]
fn tuple(packet: &Packet) -> Tuple {
    let Flow { source, destination, source_port, destination_port, .. } = packet.flow;
    Tuple::new(packet.is_v6, source, destination, source_port, destination_port)
}
