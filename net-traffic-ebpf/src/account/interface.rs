//! Adds a packet to the row of its interface, direction and class.

use aya_ebpf::bindings::BPF_NOEXIST;
use net_traffic_common::{DIRECTION_RX, IfaceBytes, IfaceKey};

use super::loss;
use crate::{maps::INTERFACES, packet, skb::Skb};

/// The class of a packet, and its payload.
pub(crate) struct Verdict {
    pub class: u16,
    /// Payload that passes for the first time.
    pub payload: u32,
    /// The bytes that GSO or GRO divides among segments, without the headers that each segment has; 0 if unknown.
    pub divisible: u32,
}

/// Counts the packet. A packet that finds the map full is in the loss ledger only; user space sees its bytes as the
/// difference to the interface's own counter.
#[inline(always)]
pub(crate) fn count(skb: Skb, direction: u16, verdict: &Verdict) {
    let (ifindex, length, segment, is_tagged) =
        (skb.ifindex(), skb.len(), skb.gso_size(), skb.is_vlan_tagged());
    let length = if direction == DIRECTION_RX { length + packet::missing_mac_header(skb) } else { length };
    let key = IfaceKey { ifindex, direction, class: verdict.class };
    let Some(row) = INTERFACES.get_ptr_mut(key).or_else(|| insert(key)) else { return };
    let segments = if segment == 0 || verdict.divisible == 0 {
        1
    } else {
        u64::from(verdict.divisible.div_ceil(segment))
    };
    let headers = u64::from(length.saturating_sub(verdict.divisible));
    // SAFETY: the row is this CPU's, and this CPU handles no other packet meanwhile.
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
fn insert(key: IfaceKey) -> Option<*mut IfaceBytes> {
    loss::count_failed(INTERFACES.insert(key, IfaceBytes::default(), u64::from(BPF_NOEXIST)));
    INTERFACES.get_ptr_mut(key)
}
