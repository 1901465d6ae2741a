//! The class of a packet that leaves, by the socket that it still has.

use core::ffi::c_void;

use net_traffic_common::{
    CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, DIRECTION_TX, FAMILY_INET, FAMILY_INET6,
    FAMILY_PACKET,
};

use super::{divisible, first_transmission, forwarded, unread};
use crate::{
    account::interface::Verdict,
    maps::{SOCKETS, SocketStorage},
    packet::{self, Packet, Part, TCP, UDP},
    skb::Skb,
    socket_lookup::{AnySk, FullSk},
};

const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;

#[inline(always)]
pub(super) fn verdict(skb: Skb) -> Verdict {
    let (sk, came_from) = (skb.sk(), skb.ingress_ifindex());
    // A bridged packet may still have its sender's socket, even one of another namespace.
    let full = if came_from == 0 { sk.and_then(AnySk::full) } else { None };
    if let Some(full) = full
        && full.family() == u32::from(FAMILY_PACKET)
    {
        return written_to_interface(skb, full);
    }
    let Some(packet) = packet::read(skb) else { return unread(skb, came_from != 0) };
    let of = |class, payload| Verdict { class, payload, divisible: divisible(skb, &packet) };
    if came_from != 0 {
        forwarded::remember(&packet);
        return of(CLASS_FORWARDED, 0);
    }
    if sk.is_none() {
        return of(CLASS_KERNEL, 0);
    }
    let Some(full) = full else { return of(CLASS_PROCESS, 0) };
    let (family, kind, protocol) = (full.family(), full.kind(), full.protocol());
    if family != u32::from(FAMILY_INET) && family != u32::from(FAMILY_INET6) {
        return of(CLASS_UNKNOWN, 0);
    }
    match kind {
        SOCK_STREAM if protocol == u32::from(TCP) && packet.protocol == TCP => {
            of(CLASS_PROCESS, first_transmission(full, &packet, skb, DIRECTION_TX))
        }
        SOCK_DGRAM if protocol == u32::from(UDP) && packet.protocol == UDP && is_from(full, &packet) => {
            of(CLASS_PROCESS, packet.payload)
        }
        // The kernel's own control sockets are raw sockets, too. Those without counters are the kernel's.
        SOCK_RAW if is_raw_of(protocol, &packet) && has_counters(full) => {
            of(CLASS_PROCESS, packet.ip_payload)
        }
        // A tunnel's packet that still has the socket of the inner packet.
        _ => of(CLASS_KERNEL, 0),
    }
}

/// The verdict on a frame that a packet socket wrote. The kernel prepends the link header of a datagram packet socket.
#[inline(always)]
fn written_to_interface(skb: Skb, full: FullSk) -> Verdict {
    const ETHERNET_HEADER: u32 = 14;
    let header = if full.kind() == SOCK_DGRAM { ETHERNET_HEADER } else { 0 };
    Verdict { class: CLASS_PROCESS, payload: skb.len().saturating_sub(header), divisible: 0 }
}

/// Whether the socket sent the datagram itself: a tunnel's outer datagram has another source port.
#[inline(always)]
fn is_from(full: FullSk, packet: &Packet) -> bool {
    packet.part == Part::Later || full.local_port() == u32::from(u16::from_be(packet.flow.source_port))
}

/// Whether a raw socket of this protocol sent the packet: a tunnel's outer packet has another protocol.
#[inline(always)]
fn is_raw_of(protocol: u32, packet: &Packet) -> bool {
    /// `IPPROTO_RAW`: the socket writes the IP header itself.
    const ANY: u32 = 255;
    protocol == u32::from(packet.protocol) || protocol == ANY
}

#[inline(always)]
fn has_counters(sk: FullSk) -> bool {
    let sk: *const c_void = sk.address();
    // SAFETY: a socket in full, with a type that the verifier tracks.
    unsafe { SOCKETS.get(sk) }.is_some()
}
