//! A packet as the programs see it: a buffer of the stack, or a frame that has just arrived.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{__sk_buff, xdp_md},
    helpers::generated::{
        bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_skb_load_bytes, bpf_xdp_get_buff_len, bpf_xdp_load_bytes,
    },
};
use net_traffic_common::{
    ProcessKey, UNOWNED,
    packet::{PACKET_OUT, PACKET_TAGGED, PACKET_UNSUMMED, PACKET_VERIFIED, PacketRecord},
};

use crate::kernel::offset;

/// Where its octets come from.
pub(crate) trait Frame: Copy {
    /// Copies the first `length` octets; false if the kernel refuses.
    ///
    /// # Safety
    /// There is room for them.
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool;
}

impl Frame for *mut __sk_buff {
    #[inline(always)]
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the program's context, and as the caller promises.
        unsafe { bpf_skb_load_bytes(self.cast(), 0, to, length) == 0 }
    }
}

impl Frame for *mut xdp_md {
    #[inline(always)]
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the program's context, and as the caller promises.
        unsafe { bpf_xdp_load_bytes(self, 0, to, length) == 0 }
    }
}

/// On the monotonic clock.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: no requirement.
    unsafe { bpf_ktime_get_ns() }
}

/// What is known of a packet of the stack, but for how much is captured.
#[inline(always)]
pub(crate) fn of_stack(
    skb: *mut __sk_buff,
    time_ns: u64,
    owner: ProcessKey,
    is_outgoing: bool,
) -> PacketRecord {
    // SAFETY: the program's context.
    unsafe {
        let tagged = (*skb).vlan_present != 0;
        PacketRecord {
            time_ns,
            owner,
            length: (*skb).len,
            captured: 0,
            ifindex: (*skb).ifindex,
            flags: if is_outgoing { PACKET_OUT } else { 0 }
                | if tagged { PACKET_TAGGED } else { 0 }
                | checksum(skb),
            vlan_tag: (*skb).vlan_tci as u16,
            vlan_type: u16::from_be((*skb).vlan_proto as u16),
            segments: (*skb).gso_segs as u16,
            segment_size: (*skb).gso_size as u16,
        }
    }
}

/// What the stack knows of the checksum of the transport, which the context does not tell: it is read from the buffer
/// itself, whose address the context is.
#[inline(always)]
fn checksum(skb: *mut __sk_buff) -> u32 {
    const UNNECESSARY: u8 = 1;
    const PARTIAL: u8 = 3;
    let at = offset!(ip_summed);
    if at == 0 {
        return 0;
    }
    let mut octet = 0_u8;
    // SAFETY: the octet is filled, or left as it is when the kernel refuses.
    unsafe {
        let from: *const c_void = skb.cast::<c_void>().byte_add(at as usize / 8);
        bpf_probe_read_kernel((&raw mut octet).cast(), 1, from);
    }
    match octet >> (at % 8) & 3 {
        PARTIAL => PACKET_UNSUMMED,
        UNNECESSARY => PACKET_VERIFIED,
        _ => 0,
    }
}

/// The same of a frame that has arrived: nobody's yet, and not taken apart.
#[inline(always)]
pub(crate) fn arrived(frame: *mut xdp_md) -> PacketRecord {
    // SAFETY: the program's context.
    unsafe {
        PacketRecord {
            time_ns: now_ns(),
            owner: UNOWNED,
            length: bpf_xdp_get_buff_len(frame) as u32,
            ifindex: (*frame).ingress_ifindex,
            ..PacketRecord::default()
        }
    }
}
