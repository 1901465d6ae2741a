//! Translation (NAT) as the kernel tracks connections: a packet's flow before and after.

use core::{ffi::c_void, mem::MaybeUninit};

use aya_ebpf::helpers::generated::bpf_probe_read_kernel;
use net_traffic_common::{ABSENT, Flow, plain};

use super::flow::{ICMP, ICMPV6, TCP, UDP};
use crate::{
    kernel::{Memory, Untyped, offset},
    maps::NAT_FLOWS,
    skb::Skb,
};

plain! {
    /// [`struct nf_conntrack_tuple`][tuple]: the packets of one direction as their sender sends them, in network
    /// order.
    ///
    /// [tuple]: https://github.com/gregkh/linux/blob/v6.12.117/include/net/netfilter/nf_conntrack_tuple.h#L37-L76
    struct Tuple: 40 {
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
}

/// The distance of the tuples of both directions: the size of `struct nf_conntrack_tuple_hash`.
const NEXT_TUPLE: u64 = 56;
/// The lower bits of `sk_buff._nfct` are [`enum ip_conntrack_info`][info], the others the entry's address.
///
/// [info]: https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/netfilter/nf_conntrack_common.h#L7-L34
const NFCT_INFOMASK: u64 = 7;
const IP_CT_RELATED: u64 = 1;
const IP_CT_IS_REPLY: u64 = 3;
const IP_CT_RELATED_REPLY: u64 = 4;

/// Changes the flow of a packet that leaves to the flow as its sender sent it; false if no translation is known.
///
/// The result is no `Option`: the compiler copies the flow of a `None`, and the verifier refuses uninitialised registers.
#[inline(always)]
pub(crate) fn undo(skb: Skb, flow: &mut Flow) -> bool {
    let at = offset!(nfct);
    if at == ABSENT {
        // A reply of the connection is delivered to the sender of this packet.
        let Some(delivered) = as_delivered(&flow.reversed()) else { return false };
        *flow = delivered.reversed();
        return true;
    }
    // SAFETY: the context's value is the address of the `struct sk_buff`, which has this member.
    let entry: u64 = unsafe { Untyped::read(skb.as_ptr(), at) };
    let info = entry & NFCT_INFOMASK;
    // A packet that is related to a connection, such as an ICMP error, is not of its flow.
    if entry & !NFCT_INFOMASK == 0 || info == IP_CT_RELATED || info == IP_CT_RELATED_REPLY {
        return false;
    }
    let direction = if info >= IP_CT_IS_REPLY { NEXT_TUPLE } else { 0 };
    let from = (entry & !NFCT_INFOMASK) + u64::from(offset!(nf_tuple)) + direction;
    let mut tuple = MaybeUninit::<Tuple>::uninit();
    // SAFETY: the destination has the size that is passed, and the helper fills it unless it fails.
    let tuple = unsafe {
        let size = size_of::<Tuple>() as u32;
        if bpf_probe_read_kernel(tuple.as_mut_ptr().cast(), size, from as *const c_void) != 0 {
            return false;
        }
        tuple.assume_init()
    };
    if tuple.protocol != flow.protocol {
        return false;
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
    let is_translated = sent != *flow;
    *flow = sent;
    is_translated
}

/// The flow of a packet that arrives as its receiver gets it; `None` if no translation is known.
#[inline(always)]
pub(crate) fn as_delivered(flow: &Flow) -> Option<Flow> {
    // SAFETY: a live map value.
    NAT_FLOWS.get_ptr(flow.key()).map(|delivered| unsafe { *delivered })
}

/// Stores how replies to a packet are delivered: the packet leaves as `flow` and was sent as `sent`.
#[inline(always)]
pub(crate) fn store(flow: &Flow, sent: &Flow) {
    let (arriving, delivered) = (flow.reversed().key(), sent.reversed().key());
    if as_delivered(&arriving) != Some(delivered) {
        // A full map evicts the least recently used entry, which is no loss to count.
        let _stored = NAT_FLOWS.insert(arriving, delivered, 0);
    }
}
