//! A packet crosses an interface: whose is it?

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock, bpf_sock_tuple},
    helpers::generated::{
        bpf_fib_lookup, bpf_sk_fullsock, bpf_sk_lookup_udp, bpf_sk_release, bpf_sk_storage_get,
        bpf_skc_lookup_tcp,
    },
    macros::classifier,
    programs::TcContext,
};
use net_traffic_common::{
    CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, FAMILY_INET, FAMILY_INET6, WIRE_RX, WIRE_TX,
};

use crate::{
    account::{
        stream,
        wire::{self, Verdict},
    },
    maps::{FORWARDED, FRAGMENTED, OWN_ADDRESSES, SOCKETS},
    packet::{self, Datagram, Flow, Packet, Part, TCP, UDP},
};

/// `TC_ACT_UNSPEC`, which is `TCX_NEXT` too: whoever is attached behind us decides.
const GO_ON: i32 = -1;
const PACKET_OTHERHOST: u32 = 3;
const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;
const TIME_WAIT: u32 = 6;
const LISTEN: u32 = 10;
const NEW_SYN_RECV: u32 = 12;
const CURRENT_NETNS: u64 = u64::MAX;

/// Runs for every packet that the stack hands to an interface, before any queue, since Linux 4.5.
#[classifier]
fn wire_egress(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    wire::count(skb, WIRE_TX, &outgoing(skb));
    GO_ON
}

/// Runs for every packet that an interface hands to the stack, since Linux 4.5.
#[classifier]
fn wire_ingress(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    wire::count(skb, WIRE_RX, &incoming(skb));
    GO_ON
}

#[inline(always)]
fn outgoing(skb: *mut __sk_buff) -> Verdict {
    let packet = packet::read(skb);
    // SAFETY: the program's context.
    let (sk, came_from) = unsafe { ((*skb).__bindgen_anon_2.sk, (*skb).ingress_ifindex) };
    let Some(packet) = packet else { return unread(skb, came_from != 0) };
    let of = |class, payload| Verdict { class, payload, divisible: divisible(skb, &packet) };
    if came_from != 0 {
        // A bridged packet may still have its sender's socket, even one of another namespace.
        remember_forwarded(&packet);
        return of(CLASS_FORWARDED, 0);
    }
    if sk.is_null() {
        return of(CLASS_KERNEL, 0);
    }
    // SAFETY: a socket of the context; the helper gives null for the small ones that handshakes and TIME_WAIT have.
    let full = unsafe { bpf_sk_fullsock(sk) };
    if full.is_null() {
        return of(CLASS_PROCESS, 0);
    }
    // SAFETY: a full socket.
    let (family, kind, protocol) = unsafe { ((*full).family, (*full).type_, (*full).protocol) };
    if family != u32::from(FAMILY_INET) && family != u32::from(FAMILY_INET6) {
        // Written to the interface itself: nobody counts what such a socket sends.
        return of(CLASS_UNKNOWN, 0);
    }
    match kind {
        SOCK_STREAM if protocol == u32::from(TCP) && packet.protocol == TCP => {
            // SAFETY: a full socket.
            of(CLASS_PROCESS, unsafe { fresh(full, &packet, skb, WIRE_TX) })
        }
        SOCK_DGRAM if protocol == u32::from(UDP) && packet.protocol == UDP => {
            of(CLASS_PROCESS, packet.payload)
        }
        // The kernel's own control sockets are raw sockets, too; those that nobody counts are the kernel's.
        SOCK_RAW if has_counters(full) => of(CLASS_PROCESS, packet.ip_payload),
        // A tunnel's packet that still has the socket of what is inside.
        _ => of(CLASS_KERNEL, 0),
    }
}

#[inline(always)]
fn incoming(skb: *mut __sk_buff) -> Verdict {
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
    let is_connected = unsafe {
        let peer = (*sk).dst_port;
        bpf_sk_release(sk.cast());
        peer != 0
    };
    if !is_connected && is_forwarded(skb, packet) {
        return (CLASS_FORWARDED, 0);
    }
    (CLASS_PROCESS, packet.payload)
}

/// A packet for which there is no socket.
#[inline(always)]
fn unmatched(skb: *mut __sk_buff, packet: &Packet) -> u16 {
    if is_forwarded(skb, packet) { CLASS_FORWARDED } else { CLASS_KERNEL }
}

/// What cannot be looked into: it is not IP (ARP, a bridge's protocols), or it is malformed.
#[inline(always)]
fn unread(skb: *mut __sk_buff, is_forwarded: bool) -> Verdict {
    let class = match (is_forwarded, packet::is_ip(skb)) {
        (true, _) => CLASS_FORWARDED,
        (false, false) => CLASS_KERNEL,
        (false, true) => CLASS_UNKNOWN,
    };
    Verdict { class, payload: 0, divisible: 0 }
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

/// Whether the packet goes on to another host: bridged, translated to another address, or routed.
#[inline(always)]
fn is_forwarded(skb: *mut __sk_buff, packet: &Packet) -> bool {
    is_for_another(skb) || is_answer_to_forwarded(packet) || is_routed(skb, packet)
}

/// The frame is addressed to another host: a bridge passes it on.
#[inline(always)]
fn is_for_another(skb: *mut __sk_buff) -> bool {
    // SAFETY: the program's context.
    let is_for_interface = unsafe { (*skb).pkt_type != PACKET_OTHERHOST };
    !is_for_interface && OWN_ADDRESSES.get_ptr(packet::destination(skb)).is_none()
}

/// Remembers the flow of a packet that leaves for others, as it is on the wire: behind any translation.
#[inline(always)]
fn remember_forwarded(packet: &Packet) {
    if packet.part != Part::Later
        && matches!(packet.protocol, TCP | UDP)
        && FORWARDED.get_ptr(packet.flow).is_none()
    {
        let _kept = FORWARDED.insert(packet.flow, 1, 0);
    }
}

#[inline(always)]
fn is_answer_to_forwarded(packet: &Packet) -> bool {
    let flow = &packet.flow;
    FORWARDED
        .get_ptr(Flow {
            source: flow.destination,
            destination: flow.source,
            source_port: flow.destination_port,
            destination_port: flow.source_port,
            protocol: flow.protocol,
        })
        .is_some()
}

/// Asks the routing table.
#[inline(always)]
fn is_routed(skb: *mut __sk_buff, packet: &Packet) -> bool {
    /// `struct bpf_fib_lookup`, since Linux 4.18.
    #[repr(C)]
    #[derive(Default)]
    struct Lookup {
        family: u8,
        protocol: u8,
        source_port: u16,
        destination_port: u16,
        total: u16,
        ifindex: u32,
        tos: u32,
        source: [u32; 4],
        destination: [u32; 4],
        output: [u32; 4],
    }
    const SIZE: i32 = 64;
    const _: () = assert!(size_of::<Lookup>() == SIZE as usize);
    /// The answers that name a way out: the packet leaves, needs an encapsulation, a neighbour, or fragments.
    const SUCCESS: i64 = 0;
    const UNSUPPORTED_ENCAPSULATION: i64 = 6;
    const NO_NEIGHBOUR: i64 = 7;
    const FRAGMENTS_NEEDED: i64 = 8;
    let mut lookup = Lookup {
        family: if packet.is_v6 { FAMILY_INET6 as u8 } else { FAMILY_INET as u8 },
        protocol: packet.protocol,
        source_port: packet.flow.source_port,
        destination_port: packet.flow.destination_port,
        // SAFETY: the program's context.
        ifindex: unsafe { (*skb).ifindex },
        source: packet.flow.source,
        destination: packet.flow.destination,
        ..Lookup::default()
    };
    // SAFETY: the program's context, and a struct of the kernel's layout and size.
    let answer = unsafe { bpf_fib_lookup(skb.cast(), (&raw mut lookup).cast(), SIZE, 0) };
    matches!(answer, SUCCESS | UNSUPPORTED_ENCAPSULATION | NO_NEIGHBOUR | FRAGMENTS_NEEDED)
}

/// Payload of a TCP segment that passes for the first time.
///
/// # Safety
/// `sk` is a socket that the verifier knows.
#[inline(always)]
unsafe fn fresh(sk: *mut bpf_sock, packet: &Packet, skb: *mut __sk_buff, direction: u16) -> u32 {
    if packet.part == Part::Later {
        return packet.payload;
    }
    // SAFETY: as the caller promises, and the program's context.
    unsafe { stream::first_time(sk.cast(), packet, (*skb).ifindex, direction) }
}

/// Whether the accounting of sockets knows it.
#[inline(always)]
fn has_counters(sk: *mut bpf_sock) -> bool {
    let map = ptr::from_ref(&SOCKETS).cast_mut().cast::<c_void>();
    // SAFETY: a full socket; the helper checks it.
    !unsafe { bpf_sk_storage_get(map, sk.cast(), ptr::null_mut(), 0) }.is_null()
}

/// What the segments of a large packet share out among them.
#[inline(always)]
fn divisible(skb: *mut __sk_buff, packet: &Packet) -> u32 {
    // SAFETY: the program's context.
    let length = unsafe { (*skb).len };
    if matches!(packet.protocol, TCP | UDP) && packet.payload <= length { packet.payload } else { 0 }
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
