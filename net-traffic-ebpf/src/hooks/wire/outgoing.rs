//! Whose a packet is that leaves: the socket that it still has tells.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    helpers::generated::{bpf_sk_fullsock, bpf_sk_storage_get},
};
use net_traffic_common::{
    CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, FAMILY_INET, FAMILY_INET6, FAMILY_PACKET,
    WIRE_TX,
};

use super::{divisible, forwarded, fresh, unread};
use crate::{
    account::wire::Verdict,
    maps::SOCKETS,
    packet::{self, Packet, Part, TCP, UDP},
};

const SOCK_STREAM: u32 = 1;
const SOCK_DGRAM: u32 = 2;
const SOCK_RAW: u32 = 3;

#[inline(always)]
pub(super) fn verdict(skb: *mut __sk_buff) -> Verdict {
    // SAFETY: the program's context.
    let (sk, came_from) = unsafe { ((*skb).__bindgen_anon_2.sk, (*skb).ingress_ifindex) };
    let full = if came_from != 0 || sk.is_null() {
        // A bridged packet may still have its sender's socket, even one of another namespace.
        ptr::null_mut()
    } else {
        // SAFETY: a socket of the context; the helper gives null for the small ones that handshakes and TIME_WAIT have.
        unsafe { bpf_sk_fullsock(sk) }
    };
    // SAFETY: a full socket.
    if !full.is_null() && unsafe { (*full).family } == u32::from(FAMILY_PACKET) {
        return written_to_interface(skb, full);
    }
    let Some(packet) = packet::read(skb) else { return unread(skb, came_from != 0) };
    let of = |class, payload| Verdict { class, payload, divisible: divisible(skb, &packet) };
    if came_from != 0 {
        forwarded::remember(&packet);
        return of(CLASS_FORWARDED, 0);
    }
    if sk.is_null() {
        return of(CLASS_KERNEL, 0);
    }
    if full.is_null() {
        return of(CLASS_PROCESS, 0);
    }
    // SAFETY: a full socket.
    let (family, kind, protocol) = unsafe { ((*full).family, (*full).type_, (*full).protocol) };
    if family != u32::from(FAMILY_INET) && family != u32::from(FAMILY_INET6) {
        return of(CLASS_UNKNOWN, 0);
    }
    match kind {
        SOCK_STREAM if protocol == u32::from(TCP) && packet.protocol == TCP => {
            // SAFETY: a full socket.
            of(CLASS_PROCESS, unsafe { fresh(full, &packet, skb, WIRE_TX) })
        }
        SOCK_DGRAM if protocol == u32::from(UDP) && packet.protocol == UDP && is_from(full, &packet) => {
            of(CLASS_PROCESS, packet.payload)
        }
        // The kernel's own control sockets are raw sockets, too; those that nobody counts are the kernel's.
        SOCK_RAW if is_raw_of(protocol, &packet) && has_counters(full) => {
            of(CLASS_PROCESS, packet.ip_payload)
        }
        // A tunnel's packet that still has the socket of what is inside.
        _ => of(CLASS_KERNEL, 0),
    }
}

/// A packet socket writes frames itself; what it is given without a link header gets one.
#[inline(always)]
fn written_to_interface(skb: *mut __sk_buff, full: *mut bpf_sock) -> Verdict {
    const ETHERNET_HEADER: u32 = 14;
    // SAFETY: the program's context, and a full socket.
    let (length, kind) = unsafe { ((*skb).len, (*full).type_) };
    let header = if kind == SOCK_DGRAM { ETHERNET_HEADER } else { 0 };
    Verdict { class: CLASS_PROCESS, payload: length.saturating_sub(header), divisible: 0 }
}

/// Whether the socket sent the datagram itself: around that of a tunnel is another, from another port.
#[inline(always)]
fn is_from(full: *mut bpf_sock, packet: &Packet) -> bool {
    // SAFETY: a full socket.
    let port = unsafe { (*full).src_port };
    packet.part == Part::Later || port == u32::from(u16::from_be(packet.flow.source_port))
}

/// Whether a raw socket of this protocol sent the packet: around that of a tunnel is another, of another protocol.
#[inline(always)]
fn is_raw_of(protocol: u32, packet: &Packet) -> bool {
    /// `IPPROTO_RAW`: it writes the IP header itself.
    const ANY: u32 = 255;
    protocol == u32::from(packet.protocol) || protocol == ANY
}

/// Whether the accounting of sockets knows it.
#[inline(always)]
fn has_counters(sk: *mut bpf_sock) -> bool {
    let map = ptr::from_ref(&SOCKETS).cast_mut().cast::<c_void>();
    // SAFETY: a full socket; the helper checks it.
    !unsafe { bpf_sk_storage_get(map, sk.cast(), ptr::null_mut(), 0) }.is_null()
}
