//! What a packet was before its addresses were translated, and what it will be: as the kernel tracks connections.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::{bindings::__sk_buff, helpers::generated::bpf_probe_read_kernel};
use net_traffic_common::Flow;

use super::flow::{ICMP, ICMPV6, TCP, UDP};
use crate::{
    kernel::{Memory, Untyped, offset},
    maps::TRANSLATED,
};

/// `struct nf_conntrack_tuple`: a direction's packets as their sender sends them. In network order.
#[repr(C)]
#[derive(Clone, Copy)]
struct Tuple {
    source: [u32; 4],
    /// Or the identifier of an echo.
    source_port: u16,
    family: u16,
    destination: [u32; 4],
    /// Or type and code of an echo.
    destination_port: u16,
    protocol: u8,
    direction: u8,
}

const _: () = assert!(size_of::<Tuple>() == 40);

/// What lies between the tuples of both directions: `struct nf_conntrack_tuple_hash`.
const NEXT_TUPLE: u64 = 56;
/// The lower bits of a buffer's pointer to its entry, and what they say.
const STATE: u64 = 7;
const RELATED: u64 = 1;
const FIRST_OF_REPLIES: u64 = 3;
const RELATED_REPLY: u64 = 4;

/// A packet that leaves, as its sender sent it; `None` if that is not known to differ.
#[inline(always)]
pub(crate) fn as_sent(skb: *mut __sk_buff, flow: &Flow) -> Option<Flow> {
    let at = offset!(nfct);
    if at == u32::MAX {
        // Of the same connection, what arrives goes to whom this comes from.
        return as_delivered(&flow.reversed()).map(|delivered| delivered.reversed());
    }
    // SAFETY: the context is at the address of the buffer, and this is a member of it.
    let entry: u64 = unsafe { Untyped::read(skb.cast(), at) };
    let state = entry & STATE;
    // What is related to a connection, such as an error, is not a packet of it.
    if entry & !STATE == 0 || state == RELATED || state == RELATED_REPLY {
        return None;
    }
    let direction = if state >= FIRST_OF_REPLIES { NEXT_TUPLE } else { 0 };
    let from = (entry & !STATE) + u64::from(offset!(nf_tuple)) + direction;
    let mut tuple = MaybeUninit::<Tuple>::uninit();
    // SAFETY: the place has the size that is given, and is filled if the helper does not fail.
    let tuple = unsafe {
        let size = size_of::<Tuple>() as u32;
        if bpf_probe_read_kernel(tuple.as_mut_ptr().cast(), size, from as *const c_void) != 0 {
            return None;
        }
        tuple.assume_init()
    };
    if tuple.protocol != flow.protocol {
        return None;
    }
    let (source_port, destination_port) = match tuple.protocol {
        TCP | UDP => (tuple.source_port, tuple.destination_port),
        ICMP | ICMPV6 => (tuple.source_port, tuple.source_port),
        _ => (0, 0),
    };
    let sent = if flow.is_v6 != 0 {
        Flow { source: tuple.source, destination: tuple.destination, source_port, destination_port, ..*flow }
    } else {
        let (source, destination) = ([tuple.source[0], 0, 0, 0], [tuple.destination[0], 0, 0, 0]);
        Flow { source, destination, source_port, destination_port, ..*flow }
    };
    if sent == *flow { None } else { Some(sent) }
}

/// A packet that arrives, as its receiver gets it; `None` if that is not known to differ.
#[inline(always)]
pub(crate) fn as_delivered(flow: &Flow) -> Option<Flow> {
    // SAFETY: a live map value.
    TRANSLATED.get_ptr(flow.key()).map(|delivered| unsafe { *delivered })
}

/// Remembers as what the answers to a packet are delivered that leaves as `flow` and was sent as `sent`.
#[inline(always)]
pub(crate) fn remember(flow: &Flow, sent: &Flow) {
    let (arriving, delivered) = (flow.reversed().key(), sent.reversed().key());
    if as_delivered(&arriving) != Some(delivered) {
        // The least recently used one makes room; there is nothing to count here.
        let _kept = TRANSLATED.insert(arriving, delivered, 0);
    }
}
