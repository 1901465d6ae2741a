//! Whether a packet goes on to another host.

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_fib_lookup};
use net_traffic_common::{FAMILY_INET, FAMILY_INET6};

use crate::{
    maps::{FORWARDED, OWN_ADDRESSES},
    packet::{self, Flow, Packet, Part, TCP, UDP},
};

const PACKET_OTHERHOST: u32 = 3;

/// Whether the packet goes on to another host: bridged, translated to another address, or routed.
#[inline(always)]
pub(super) fn is_forwarded(skb: *mut __sk_buff, packet: &Packet) -> bool {
    is_for_another(skb) || is_answer_to_forwarded(packet) || is_routed(skb, packet)
}

/// The frame is addressed to another host: a bridge passes it on.
#[inline(always)]
pub(super) fn is_for_another(skb: *mut __sk_buff) -> bool {
    // SAFETY: the program's context.
    let is_for_interface = unsafe { (*skb).pkt_type != PACKET_OTHERHOST };
    !is_for_interface && OWN_ADDRESSES.get_ptr(packet::destination(skb)).is_none()
}

/// Remembers the flow of a packet that leaves for others, as it is on the wire: behind any translation.
#[inline(always)]
pub(super) fn remember(packet: &Packet) {
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
