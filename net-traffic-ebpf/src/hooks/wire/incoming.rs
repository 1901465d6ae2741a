//! Whose a packet is that arrives: the socket to which it is addressed tells.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_sock_tuple},
    helpers::generated::{bpf_sk_lookup_udp, bpf_sk_release, bpf_skc_lookup_tcp},
};
use net_traffic_common::{CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, WIRE_RX};

use super::{
    divisible,
    forwarded::{is_for_another, is_forwarded},
    fresh, unread,
};
use crate::{
    account::wire::Verdict,
    kernel::{Memory, Untyped, offset},
    maps::FRAGMENTED,
    packet::{self, Datagram, Flow, Packet, Part, TCP, UDP},
};

const TIME_WAIT: u32 = 6;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;
const CURRENT_NETNS: u64 = u64::MAX;

#[inline(always)]
pub(super) fn verdict(skb: *mut __sk_buff) -> Verdict {
    let Some(packet) = packet::read(skb) else { return unread(skb, is_for_another(skb)) };
    let (class, payload) = match (packet.part, packet.protocol) {
        (Part::Later, _) => later_fragment(skb, &packet),
        (_, TCP) => incoming_tcp(skb, &packet),
        (_, UDP) => incoming_udp(skb, &packet),
        _ => (unmatched(skb, &packet), 0),
    };
    if packet.part == Part::First {
        let _kept = FRAGMENTED.insert(datagram(skb, &packet), u32::from(class), 0);
    }
    Verdict { class, payload, divisible: divisible(skb, &packet) }
}

#[inline(always)]
fn incoming_tcp(skb: *mut __sk_buff, packet: &Packet) -> (u16, u32) {
    let (mut tuple, size) = tuple(packet);
    // SAFETY: the program's context and a tuple of its size.
    let sk = unsafe { bpf_skc_lookup_tcp(skb.cast(), &raw mut tuple, size, CURRENT_NETNS, 0) };
    if sk.is_null() {
        return (unmatched(skb, packet), 0);
    }
    // SAFETY: a socket that the lookup gave, released exactly once.
    unsafe {
        let state = (*sk).state;
        let payload = match state {
            // A connection that begins has nothing to remember in yet, and its first payload passes once.
            LISTEN | NEW_SYN_RECV => packet.payload,
            TIME_WAIT => 0,
            _ => fresh(sk, packet, skb, WIRE_RX),
        };
        bpf_sk_release(sk.cast());
        // A listening socket takes what is addressed to any host: it must be this one.
        if state == LISTEN && is_forwarded(skb, packet) {
            return (CLASS_FORWARDED, 0);
        }
        (CLASS_PROCESS, payload)
    }
}

#[inline(always)]
fn incoming_udp(skb: *mut __sk_buff, packet: &Packet) -> (u16, u32) {
    let (mut tuple, size) = tuple(packet);
    // SAFETY: the program's context and a tuple of its size.
    let sk = unsafe { bpf_sk_lookup_udp(skb.cast(), &raw mut tuple, size, CURRENT_NETNS, 0) };
    if sk.is_null() {
        return (unmatched(skb, packet), 0);
    }
    // SAFETY: a socket that the lookup gave, released exactly once.
    let (is_connected, is_tunnel) = unsafe {
        let (peer, is_tunnel) = ((*sk).dst_port, is_tunnel(sk));
        bpf_sk_release(sk.cast());
        (peer != 0, is_tunnel)
    };
    if is_tunnel {
        return (unmatched(skb, packet), 0);
    }
    if !is_connected && is_forwarded(skb, packet) {
        return (CLASS_FORWARDED, 0);
    }
    (CLASS_PROCESS, packet.payload)
}

/// Whether the kernel itself takes what arrives at a UDP socket. Those of tunnels stay where they were made, also when the
/// interface is moved to another namespace.
///
/// # Safety
/// `sk` is a UDP socket that the lookup gave and that was not released yet.
#[inline(always)]
unsafe fn is_tunnel(sk: *const bpf_sock) -> bool {
    let member = offset!(encap_rcv);
    if member == u32::MAX {
        return false;
    }
    // The verifier lets nobody go beyond what it knows of such a socket: its address is copied, as a number.
    // SAFETY: as the caller promises.
    unsafe {
        let address = Untyped::read::<u64>((&raw const sk).cast(), 0) as *const c_void;
        Untyped::read::<u64>(address, member) != 0
    }
}

/// A packet for which there is no socket.
#[inline(always)]
fn unmatched(skb: *mut __sk_buff, packet: &Packet) -> u16 {
    if is_forwarded(skb, packet) { CLASS_FORWARDED } else { CLASS_KERNEL }
}

/// A fragment without ports is what the first one was, if that came before.
#[inline(always)]
fn later_fragment(skb: *mut __sk_buff, packet: &Packet) -> (u16, u32) {
    // SAFETY: the value is an integer.
    match unsafe { FRAGMENTED.get(datagram(skb, packet)) } {
        Some(class) if *class == u32::from(CLASS_PROCESS) => (CLASS_PROCESS, packet.payload),
        Some(class) => (*class as u16, 0),
        None => (CLASS_UNKNOWN, 0),
    }
}

#[inline(always)]
fn datagram(skb: *mut __sk_buff, packet: &Packet) -> Datagram {
    let Flow { source, destination, .. } = packet.flow;
    // SAFETY: the program's context.
    Datagram { source, destination, id: packet.id, ifindex: unsafe { (*skb).ifindex } }
}

/// The key of the socket to which the packet is addressed, and its size.
#[inline(always)]
fn tuple(packet: &Packet) -> (bpf_sock_tuple, u32) {
    const V4: u32 = 12;
    const V6: u32 = 36;
    // SAFETY: plain integers, for which zeroes are a value.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    let flow = &packet.flow;
    if packet.is_v6 {
        tuple.__bindgen_anon_1.ipv6 = aya_ebpf::bindings::bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
            saddr: flow.source,
            daddr: flow.destination,
            sport: flow.source_port,
            dport: flow.destination_port,
        };
        (tuple, V6)
    } else {
        tuple.__bindgen_anon_1.ipv4 = aya_ebpf::bindings::bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
            saddr: flow.source[0],
            daddr: flow.destination[0],
            sport: flow.source_port,
            dport: flow.destination_port,
        };
        (tuple, V4)
    }
}
