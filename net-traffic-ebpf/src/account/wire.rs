//! Adds a packet to the row of its interface, direction and class.

use aya_ebpf::bindings::{__sk_buff, BPF_NOEXIST};
use net_traffic_common::{WIRE_RX, WireCounters, WireKey};

use super::loss;
use crate::{maps::WIRE, packet};

/// Whose a packet is, and what of it is payload.
pub(crate) struct Verdict {
    pub class: u16,
    /// Payload that passes for the first time.
    pub payload: u32,
    /// All that lies behind the headers that each segment has; 0 where that is not known.
    pub divisible: u32,
}

/// Counts the packet. What finds the map full is in the loss ledger, and stays in nobody's part of the interface's
/// own counter.
#[inline(always)]
pub(crate) fn count(skb: *mut __sk_buff, direction: u16, verdict: &Verdict) {
    // SAFETY: the program's context.
    let (ifindex, length, segment, is_tagged) =
        unsafe { ((*skb).ifindex, (*skb).len, (*skb).gso_size, (*skb).vlan_present != 0) };
    let length = if direction == WIRE_RX { length + packet::hidden_header(skb) } else { length };
    let key = WireKey { ifindex, direction, class: verdict.class };
    let Some(row) = WIRE.get_ptr_mut(key).or_else(|| begin(key)) else { return };
    let segments = if segment == 0 || verdict.divisible == 0 {
        1
    } else {
        u64::from(verdict.divisible.div_ceil(segment))
    };
    let headers = u64::from(length.saturating_sub(verdict.divisible));
    // SAFETY: the row of this CPU, on which no other packet is handled meanwhile.
    unsafe {
        (*row).packets += 1;
        (*row).bytes += u64::from(length);
        (*row).segments += segments;
        (*row).segment_bytes += u64::from(length) + (segments - 1) * headers;
        (*row).payload += u64::from(verdict.payload);
        if is_tagged {
            (*row).tagged += 1;
            (*row).tagged_segments += segments;
        }
    }
}

#[inline(always)]
fn begin(key: WireKey) -> Option<*mut WireCounters> {
    const EEXIST: i32 = -17;
    if let Err(error) = WIRE.insert(key, WireCounters::default(), u64::from(BPF_NOEXIST))
        && error != EEXIST
    {
        loss::count_insert(error);
    }
    WIRE.get_ptr_mut(key)
}
