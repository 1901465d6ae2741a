//! Whose packet it is: the owner of its socket.
//!
//! A packet that goes out has its socket. For one that comes in, the socket is looked up as the stack will do it
//! later. What has no socket to be found (echoes, the last packets of a connection, the way back to a container)
//! belongs to whoever's packet of the same flow was seen before. What is forwarded belongs to the socket behind another
//! interface, found by the addresses that the packet has there.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{
        __sk_buff, bpf_sock, bpf_sock_tuple, bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1,
        bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2,
    },
    helpers::generated::{
        bpf_get_listener_sock, bpf_sk_fullsock, bpf_sk_lookup_udp, bpf_sk_release, bpf_sk_storage_get,
        bpf_skc_lookup_tcp,
    },
};
use net_traffic_common::{
    Flow, ProcessKey, SocketCounters, UNOWNED,
    packet::{ANYWHERE, Inside, OWNERS_COUNTED},
};

use super::{
    conntrack,
    flow::{self, TCP, UDP},
    setting,
};
use crate::maps::{BEHIND, FLOWS, HOLDERS, Holder, INSIDE, SOCKETS};

const FIN_OR_RST: u8 = 0x05;
const CURRENT_NETNS: u64 = u64::MAX;

/// Whose a socket is, and what the capture stored in it, which may be null.
#[derive(Clone, Copy)]
struct Known {
    owner: ProcessKey,
    holder: *mut Holder,
}

const UNKNOWN: Known = Known { owner: UNOWNED, holder: ptr::null_mut() };

impl Known {
    /// Remembers whose the flow is, unless that is what was remembered last of this socket. After a second it is to be
    /// remembered again: the map forgets what is not used.
    #[inline(always)]
    fn remember(self, flow: &Flow, now_ns: u64) {
        if !self.holder.is_null() {
            let folded = flow.fold() ^ self.owner.0 ^ now_ns >> 30;
            // SAFETY: the socket's storage, which lives while the program runs.
            unsafe {
                if (*self.holder).remembered == folded {
                    return;
                }
                (*self.holder).remembered = folded;
            }
        }
        remember(flow, self.owner);
    }
}

/// The owner of a packet that goes out, or [`UNOWNED`].
#[inline(always)]
pub(crate) fn outgoing(skb: *mut __sk_buff) -> ProcessKey {
    let owner = of_packet(skb).owner;
    if owner != UNOWNED && flow::is_ordinary(skb) {
        return owner;
    }
    let Some(flow) = flow::read(skb) else { return owner };
    if owner == UNOWNED {
        return forwarded(skb, &flow);
    }
    if may_lose_its_socket(&flow) {
        remember(&flow, owner);
    }
    owner
}

/// The owner of a packet that comes in, or [`UNOWNED`].
#[inline(always)]
pub(crate) fn incoming(skb: *mut __sk_buff, now_ns: u64) -> ProcessKey {
    // From another namespace of this machine it comes with the sender's socket.
    let sender = of_packet(skb);
    let Some(flow) = flow::read(skb) else { return sender.owner };
    if sender.owner != UNOWNED {
        sender.remember(&flow, now_ns);
        return sender.owner;
    }
    let (mut delivered, mut netns) = (flow, CURRENT_NETNS);
    if is_anything_behind() {
        delivered = conntrack::as_delivered(&flow).unwrap_or(flow);
        if let Some(elsewhere) = netns_of(delivered.destination, &delivered, ANYWHERE) {
            netns = elsewhere;
            let sender = seen_behind(&flow);
            if sender != UNOWNED {
                return sender;
            }
        }
    }
    let owner = of_flow(skb, &delivered, netns);
    if owner == UNOWNED { remembered(&flow) } else { owner }
}

/// Remembers whose a packet is that comes from another namespace of this machine.
#[inline(always)]
pub(crate) fn learn(skb: *mut __sk_buff, now_ns: u64) {
    let sender = of_packet(skb);
    if sender.owner != UNOWNED
        && let Some(flow) = flow::read(skb)
    {
        sender.remember(&flow, now_ns);
    }
}

/// The owner of a packet that leaves without a socket: who sent it from behind another interface, or whoever was seen
/// with the same flow before. On its way to somebody behind this interface, with the address that it came with, it is of
/// whoever was seen to send it from behind another, or else takes it there.
#[inline(always)]
fn forwarded(skb: *mut __sk_buff, flow: &Flow) -> ProcessKey {
    let translated = if is_anything_behind() { conntrack::as_sent(skb, flow) } else { None };
    let sent = translated.unwrap_or(*flow);
    // SAFETY: the program's context.
    let ifindex = unsafe { (*skb).ifindex };
    if sent.source == flow.source
        && let Some(netns) = netns_of(flow.destination, flow, ifindex)
    {
        let sender = seen_behind(&sent);
        if sender != UNOWNED {
            return sender;
        }
        let taker = of_flow(skb, flow, netns);
        return if taker == UNOWNED { remembered(flow) } else { taker };
    }
    let sender = match netns_of(sent.source, &sent, ANYWHERE) {
        Some(netns) => of_flow(skb, &sent.reversed(), netns),
        None => UNOWNED,
    };
    let owner = if sender == UNOWNED { remembered(&sent) } else { sender };
    if owner == UNOWNED {
        return if translated.is_some() { remembered(flow) } else { UNOWNED };
    }
    if translated.is_some() {
        conntrack::remember(flow, &sent);
    }
    if may_lose_its_socket(flow) {
        remember(flow, owner);
    }
    owner
}

/// Whoever was seen to send the flow, if it comes from one place behind this host, on its way to another.
#[inline(always)]
fn seen_behind(flow: &Flow) -> ProcessKey {
    if netns_of(flow.source, flow, ANYWHERE).is_some() { remembered(flow) } else { UNOWNED }
}

/// Whether no socket will be found for later packets of the flow: one that ends, or of which none is ever found.
#[inline(always)]
fn may_lose_its_socket(flow: &Flow) -> bool {
    !matches!(flow.protocol, TCP | UDP) || flow.protocol == TCP && flow.tcp_flags & FIN_OR_RST != 0
}

/// The number of the namespace that has one of a flow's addresses behind an interface, if that is known.
#[inline(always)]
fn netns_of(address: [u32; 4], flow: &Flow, ifindex: u32) -> Option<u64> {
    let key = Inside { address, ifindex, is_v6: flow.is_v6.into() };
    // SAFETY: a live map value.
    INSIDE.get_ptr(key).map(|netns| u64::from(unsafe { *netns }))
}

#[inline(always)]
fn is_anything_behind() -> bool {
    // SAFETY: a live map value.
    BEHIND.get_ptr(0).is_some_and(|is_known| unsafe { *is_known } != 0)
}

/// Whose socket takes a packet of the flow.
#[inline(always)]
fn of_flow(skb: *mut __sk_buff, flow: &Flow, netns: u64) -> ProcessKey {
    match flow.protocol {
        TCP => of_tcp(skb, flow, netns),
        UDP => of_udp(skb, flow, netns),
        _ => UNOWNED,
    }
}

/// Of the socket that the packet has, if it has one.
#[inline(always)]
fn of_packet(skb: *mut __sk_buff) -> Known {
    // SAFETY: the program's context; the helpers give null for sockets that are none in full.
    unsafe {
        let sk = (*skb).__bindgen_anon_2.sk;
        if sk.is_null() {
            return UNKNOWN;
        }
        let full = bpf_sk_fullsock(sk);
        if !full.is_null() {
            return of_socket(full);
        }
        // A connection that is being accepted belongs to whoever listens.
        let listener = bpf_get_listener_sock(sk);
        if listener.is_null() { UNKNOWN } else { of_socket(listener) }
    }
}

#[inline(always)]
fn of_tcp(skb: *mut __sk_buff, flow: &Flow, netns: u64) -> ProcessKey {
    let (mut tuple, size) = tuple(flow);
    // SAFETY: the program's context and a tuple of its size; the socket is released once.
    unsafe {
        let sk = bpf_skc_lookup_tcp(skb.cast(), &raw mut tuple, size, netns, 0);
        if sk.is_null() {
            return UNOWNED;
        }
        let full = bpf_sk_fullsock(sk);
        let owner = if full.is_null() {
            let listener = bpf_get_listener_sock(sk);
            if listener.is_null() { UNOWNED } else { of_socket(listener).owner }
        } else {
            of_socket(full).owner
        };
        bpf_sk_release(sk.cast());
        owner
    }
}

#[inline(always)]
fn of_udp(skb: *mut __sk_buff, flow: &Flow, netns: u64) -> ProcessKey {
    let (mut tuple, size) = tuple(flow);
    // SAFETY: as above.
    unsafe {
        let sk = bpf_sk_lookup_udp(skb.cast(), &raw mut tuple, size, netns, 0);
        if sk.is_null() {
            return UNOWNED;
        }
        let owner = of_socket(sk).owner;
        bpf_sk_release(sk.cast());
        owner
    }
}

/// Who uses the socket, or else who made it.
#[inline(always)]
fn of_socket(sk: *mut bpf_sock) -> Known {
    let sockets: *mut c_void = ptr::from_ref(&SOCKETS).cast_mut().cast();
    let holders: *mut c_void = ptr::from_ref(&HOLDERS).cast_mut().cast();
    let are_counted = setting!(owners) == OWNERS_COUNTED;
    // SAFETY: a full socket; the helper gives its storage or null.
    unsafe {
        let holder: *mut Holder = bpf_sk_storage_get(holders, sk.cast(), ptr::null_mut(), 0).cast();
        if are_counted {
            let counters: *const SocketCounters =
                bpf_sk_storage_get(sockets, sk.cast(), ptr::null_mut(), 0).cast();
            if !counters.is_null() && (*counters).owner != UNOWNED {
                return Known { owner: (*counters).owner, holder };
            }
        }
        let owner = if holder.is_null() { UNOWNED } else { (*holder).owner };
        Known { owner, holder }
    }
}

#[inline(always)]
fn remember(flow: &Flow, owner: ProcessKey) {
    let key = flow.key();
    let known = FLOWS.get_ptr(key);
    // SAFETY: a live map value.
    if known.is_none_or(|known| unsafe { *known } != owner) {
        // The least recently used one makes room; there is nothing to count here.
        let _kept = FLOWS.insert(key, owner, 0);
    }
}

#[inline(always)]
fn remembered(flow: &Flow) -> ProcessKey {
    let known = FLOWS.get_ptr(flow.key()).or_else(|| FLOWS.get_ptr(flow.reversed().key()));
    // SAFETY: a live map value.
    known.map_or(UNOWNED, |known| unsafe { *known })
}

/// What the socket of the packet is looked up by, and its size.
#[inline(always)]
fn tuple(flow: &Flow) -> (bpf_sock_tuple, u32) {
    // SAFETY: plain integers, for which zeroes are a value.
    let mut tuple: bpf_sock_tuple = unsafe { core::mem::zeroed() };
    let (sport, dport) = (flow.source_port, flow.destination_port);
    if flow.is_v6 != 0 {
        tuple.__bindgen_anon_1.ipv6 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_2 {
            saddr: flow.source,
            daddr: flow.destination,
            sport,
            dport,
        };
        (tuple, 36)
    } else {
        tuple.__bindgen_anon_1.ipv4 = bpf_sock_tuple__bindgen_ty_1__bindgen_ty_1 {
            saddr: flow.source[0],
            daddr: flow.destination[0],
            sport,
            dport,
        };
        (tuple, 12)
    }
}
