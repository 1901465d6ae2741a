//! Whether a packet goes on to another host.

use aya_ebpf::helpers::generated::bpf_fib_lookup;
use net_traffic_common::{FAMILY_INET, FAMILY_INET6};

use crate::{
    maps::{FORWARDED, OWN_MACS},
    packet::{self, Flow, Packet, Part, TCP, UDP},
    skb::Skb,
};

const PACKET_OTHERHOST: u32 = 3;

/// Whether the packet goes on to another host: bridged, translated to another address, or routed.
#[inline(always)]
pub(super) fn is_forwarded(skb: Skb, packet: &Packet) -> bool {
    is_for_other_host(skb) || is_reply_to_forwarded(packet) || is_routed(skb, packet)
}

/// Whether the frame is addressed to another host's MAC address: a bridge forwards it.
#[inline(always)]
pub(super) fn is_for_other_host(skb: Skb) -> bool {
    skb.pkt_type() == PACKET_OTHERHOST && OWN_MACS.get_ptr(packet::destination_mac(skb)).is_none()
}

/// Stores the flow of a forwarded packet that leaves, after any NAT.
#[inline(always)]
pub(super) fn remember(packet: &Packet) {
    if packet.part != Part::Later
        && matches!(packet.protocol, TCP | UDP)
        && FORWARDED.get_ptr(packet.flow).is_none()
    {
        let _stored = FORWARDED.insert(packet.flow, 1, 0);
    }
}

#[inline(always)]
fn is_reply_to_forwarded(packet: &Packet) -> bool {
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

/// Whether the routing table has a next hop for the packet.
#[inline(always)]
fn is_routed(skb: Skb, packet: &Packet) -> bool {
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
    /// The [results][results] for a packet that is forwarded, also if it needs an encapsulation, a neighbour entry or
    /// fragmentation first.
    ///
    /// [results]: https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L7158-L7169
    const SUCCESS: i64 = 0;
    const UNSUPP_LWT: i64 = 6;
    const NO_NEIGH: i64 = 7;
    const FRAG_NEEDED: i64 = 8;
    let mut lookup = Lookup {
        family: if packet.is_v6 { FAMILY_INET6 as u8 } else { FAMILY_INET as u8 },
        protocol: packet.protocol,
        source_port: packet.flow.source_port,
        destination_port: packet.flow.destination_port,
        ifindex: skb.ifindex(),
        source: packet.flow.source,
        destination: packet.flow.destination,
        ..Lookup::default()
    };
    // SAFETY: the program's context, and a struct of the kernel's layout and size.
    let result = unsafe { bpf_fib_lookup(skb.as_ptr(), (&raw mut lookup).cast(), SIZE, 0) };
    matches!(result, SUCCESS | UNSUPP_LWT | NO_NEIGH | FRAG_NEEDED)
}
