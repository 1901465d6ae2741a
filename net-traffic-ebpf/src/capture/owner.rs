//! The owner of a packet: the process that owns its socket.
//!
//! An outgoing packet carries its socket. The socket of an incoming packet is looked up by the packet's addresses and
//! ports, as the stack does later. Some packets have no socket (echoes, the last packets of a connection, the way
//! back to a container): their owner is cached by flow when another packet of the flow has a socket. A forwarded
//! packet belongs to the socket in the network namespace behind another interface, found by the addresses that the
//! packet has there.

use core::ptr::{self, NonNull};

use net_traffic_common::{
    Flow, ProcessKey, SocketCounters, UNOWNED,
    packet::{ANY_INTERFACE, NetnsAddress, OWNERS_FROM_COUNTERS},
};

use super::{
    conntrack,
    flow::{self, TCP, UDP},
    setting,
};
use crate::{
    maps::{ADDR_TO_NETNS, FLOW_OWNERS, PEERS_KNOWN, SOCKET_OWNERS, SOCKETS, SocketOwner, SocketStorage},
    skb::Skb,
    socket_lookup::{CURRENT_NETNS, FullSk, Tuple, find_tcp, find_udp},
};

const FIN_OR_RST: u8 = 0x05;

/// The owner of a socket, and the value that the capture stores in the socket, if there is one.
#[derive(Clone, Copy)]
struct Known {
    owner: ProcessKey,
    /// A live map value, or null.
    stored: *mut SocketOwner,
}

const UNKNOWN: Known = Known { owner: UNOWNED, stored: ptr::null_mut() };

impl Known {
    /// Caches the owner of a flow, unless that is what was cached last for this socket. Once a second the entry is
    /// renewed, because the map evicts entries that are not used.
    #[inline(always)]
    fn cache(self, flow: &Flow, now_ns: u64) {
        if !self.stored.is_null() {
            let hash = flow.fold() ^ self.owner.0 ^ now_ns >> 30;
            // SAFETY: a live map value.
            unsafe {
                if (*self.stored).cached == hash {
                    return;
                }
                (*self.stored).cached = hash;
            }
        }
        cache(flow, self.owner);
    }
}

/// The owner of an outgoing packet, or [`UNOWNED`].
#[inline(always)]
pub(crate) fn of_outgoing(skb: Skb) -> ProcessKey {
    let owner = of_packet(skb).owner;
    if owner != UNOWNED && flow::is_ordinary(skb) {
        return owner;
    }
    let Some(flow) = flow::read(skb) else { return owner };
    if owner == UNOWNED {
        return of_forwarded(skb, &flow);
    }
    if may_lose_its_socket(&flow) {
        cache(&flow, owner);
    }
    owner
}

/// The owner of an incoming packet, or [`UNOWNED`].
#[inline(always)]
pub(crate) fn of_incoming(skb: Skb, now_ns: u64) -> ProcessKey {
    // A packet from another namespace of this host still has its sender's socket.
    let sender = of_packet(skb);
    let Some(flow) = flow::read(skb) else { return sender.owner };
    if sender.owner != UNOWNED {
        sender.cache(&flow, now_ns);
        return sender.owner;
    }
    let (mut delivered, mut netns) = (flow, CURRENT_NETNS);
    if are_peers_known() {
        delivered = conntrack::as_delivered(&flow).unwrap_or(flow);
        if let Some(peer) = netns_of(delivered.destination, &delivered, ANY_INTERFACE) {
            netns = peer;
            let sender = cached_local_sender(&flow);
            if sender != UNOWNED {
                return sender;
            }
        }
    }
    let owner = of_flow(skb, &delivered, netns);
    if owner == UNOWNED { cached(&flow) } else { owner }
}

/// Caches the owner of a packet from another namespace of this host.
#[inline(always)]
pub(crate) fn cache_sender(skb: Skb, now_ns: u64) {
    let sender = of_packet(skb);
    if sender.owner != UNOWNED
        && let Some(flow) = flow::read(skb)
    {
        sender.cache(&flow, now_ns);
    }
}

/// The owner of a packet that leaves without a socket.
///
/// | source address | destination | owner |
/// |---|---|---|
/// | not translated | behind this interface | the sender behind another interface, else the receiver |
/// | any | elsewhere | the sender behind another interface |
///
/// Where the sockets are not found, the owner is the one cached for the flow.
#[inline(always)]
fn of_forwarded(skb: Skb, flow: &Flow) -> ProcessKey {
    let mut sent = *flow;
    let is_translated = are_peers_known() && conntrack::undo(skb, &mut sent);
    let ifindex = skb.ifindex();
    if sent.source == flow.source
        && let Some(netns) = netns_of(flow.destination, flow, ifindex)
    {
        let sender = cached_local_sender(&sent);
        if sender != UNOWNED {
            return sender;
        }
        let receiver = of_flow(skb, flow, netns);
        return if receiver == UNOWNED { cached(flow) } else { receiver };
    }
    let sender = match netns_of(sent.source, &sent, ANY_INTERFACE) {
        Some(netns) => of_flow(skb, &sent.reversed(), netns),
        None => UNOWNED,
    };
    let owner = if sender == UNOWNED { cached(&sent) } else { sender };
    if owner == UNOWNED {
        return if is_translated { cached(flow) } else { UNOWNED };
    }
    if is_translated {
        conntrack::store(flow, &sent);
    }
    if may_lose_its_socket(flow) {
        cache(flow, owner);
    }
    owner
}

/// The cached sender of a flow between two namespaces of this host.
#[inline(always)]
fn cached_local_sender(flow: &Flow) -> ProcessKey {
    if netns_of(flow.source, flow, ANY_INTERFACE).is_some() { cached(flow) } else { UNOWNED }
}

/// Whether later packets of the flow may have no socket: the connection ends, or the protocol has no look-up.
#[inline(always)]
fn may_lose_its_socket(flow: &Flow) -> bool {
    !matches!(flow.protocol, TCP | UDP) || flow.protocol == TCP && flow.tcp_flags & FIN_OR_RST != 0
}

/// The ID of the namespace behind an interface that has an address of the flow, if one is known.
#[inline(always)]
fn netns_of(address: [u32; 4], flow: &Flow, ifindex: u32) -> Option<u64> {
    let key = NetnsAddress { address, ifindex, is_v6: flow.is_v6.into() };
    // SAFETY: a live map value.
    ADDR_TO_NETNS.get_ptr(key).map(|netns| u64::from(unsafe { *netns }))
}

#[inline(always)]
fn are_peers_known() -> bool {
    // SAFETY: a live map value.
    PEERS_KNOWN.get_ptr(0).is_some_and(|known| unsafe { *known } != 0)
}

/// The owner of the socket that receives packets of the flow.
#[inline(always)]
fn of_flow(skb: Skb, flow: &Flow, netns: u64) -> ProcessKey {
    match flow.protocol {
        TCP => of_tcp(skb, flow, netns),
        UDP => of_udp(skb, flow, netns),
        _ => UNOWNED,
    }
}

/// The owner of the socket that the packet carries.
#[inline(always)]
fn of_packet(skb: Skb) -> Known {
    let Some(sk) = skb.sk() else { return UNKNOWN };
    // A connection that is being accepted belongs to the listener.
    match sk.full().or_else(|| sk.listener()) {
        Some(full) => of_socket(full),
        None => UNKNOWN,
    }
}

#[inline(always)]
fn of_tcp(skb: Skb, flow: &Flow, netns: u64) -> ProcessKey {
    let Some(sk) = find_tcp(skb, &mut tuple(flow), netns) else { return UNOWNED };
    let any = sk.any();
    match any.full().or_else(|| any.listener()) {
        Some(full) => of_socket(full).owner,
        None => UNOWNED,
    }
}

#[inline(always)]
fn of_udp(skb: Skb, flow: &Flow, netns: u64) -> ProcessKey {
    match find_udp(skb, &mut tuple(flow), netns) {
        Some(sk) => of_socket(sk.assume_full()).owner,
        None => UNOWNED,
    }
}

/// The process that uses the socket, else the process that created it.
#[inline(always)]
fn of_socket(sk: FullSk) -> Known {
    let are_counted = setting!(owners) == OWNERS_FROM_COUNTERS;
    // SAFETY: a socket in full, with a type that the verifier tracks, and live map values.
    unsafe {
        let stored = SOCKET_OWNERS.get(sk.address()).map_or(ptr::null_mut(), NonNull::as_ptr);
        if are_counted && let Some(counters) = SOCKETS.get(sk.address()) {
            let counters: *const SocketCounters = counters.as_ptr();
            if (*counters).owner != UNOWNED {
                return Known { owner: (*counters).owner, stored };
            }
        }
        let owner = if stored.is_null() { UNOWNED } else { (*stored).owner };
        Known { owner, stored }
    }
}

#[inline(always)]
fn cache(flow: &Flow, owner: ProcessKey) {
    let key = flow.key();
    let known = FLOW_OWNERS.get_ptr(key);
    // SAFETY: a live map value.
    if known.is_none_or(|known| unsafe { *known } != owner) {
        // A full map evicts the least recently used entry, which is no loss to count.
        let _stored = FLOW_OWNERS.insert(key, owner, 0);
    }
}

#[inline(always)]
fn cached(flow: &Flow) -> ProcessKey {
    let known = FLOW_OWNERS.get_ptr(flow.key()).or_else(|| FLOW_OWNERS.get_ptr(flow.reversed().key()));
    // SAFETY: a live map value.
    known.map_or(UNOWNED, |known| unsafe { *known })
}

/// The key of the socket that receives packets of the flow.
#[inline(always)]
fn tuple(flow: &Flow) -> Tuple {
    Tuple::new(flow.is_v6 != 0, flow.source, flow.destination, flow.source_port, flow.destination_port)
}
