//! The record of a packet: of a packet of the stack, or of a frame that XDP received.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::xdp_md,
    helpers::generated::{bpf_ktime_get_ns, bpf_probe_read_kernel, bpf_xdp_get_buff_len, bpf_xdp_load_bytes},
    programs::XdpContext,
};
use net_traffic_common::{
    ProcessKey, UNOWNED,
    packet::{PACKET_CHECKSUM_PARTIAL, PACKET_CHECKSUM_VALID, PACKET_OUT, PACKET_TAGGED, PacketRecord},
};

use crate::{kernel::offset, skb::Skb};

/// The source of a packet's octets.
pub(crate) trait Octets: Copy {
    /// Copies the first `length` octets; false if the kernel refuses.
    ///
    /// # Safety
    /// `to` has room for them.
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool;
}

impl Octets for Skb {
    #[inline(always)]
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool {
        // SAFETY: as the caller promises.
        unsafe { Self::copy(self, to, length) }
    }
}

/// The context of an XDP program, which is valid while the program runs.
#[derive(Clone, Copy)]
pub(crate) struct XdpFrame(*mut xdp_md);

impl XdpFrame {
    #[inline(always)]
    pub(crate) fn of(ctx: &XdpContext) -> Self {
        Self(ctx.ctx)
    }
}

impl Octets for XdpFrame {
    #[inline(always)]
    unsafe fn copy(self, to: *mut c_void, length: u32) -> bool {
        // SAFETY: the program's context, and as the caller promises.
        unsafe { bpf_xdp_load_bytes(self.0, 0, to, length) == 0 }
    }
}

/// The monotonic clock.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    // SAFETY: the helper has no requirement.
    unsafe { bpf_ktime_get_ns() }
}

/// The record of a packet of the stack, without the captured length.
#[inline(always)]
pub(crate) fn of_stack(skb: Skb, time_ns: u64, owner: ProcessKey, is_outgoing: bool) -> PacketRecord {
    PacketRecord {
        time_ns,
        owner,
        length: skb.len(),
        captured: 0,
        ifindex: skb.ifindex(),
        flags: if is_outgoing { PACKET_OUT } else { 0 }
            | if skb.is_vlan_tagged() { PACKET_TAGGED } else { 0 }
            | checksum(skb),
        vlan_tag: skb.vlan_tci() as u16,
        vlan_type: u16::from_be(skb.vlan_proto() as u16),
        segments: skb.gso_segs() as u16,
        segment_size: skb.gso_size() as u16,
    }
}

/// The checksum state of the transport header ([`ip_summed`][summed]). The context lacks it; it is read from the
/// `struct sk_buff`, whose address is the context's value.
///
/// [summed]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/skbuff.h#L246-L250
#[inline(always)]
fn checksum(skb: Skb) -> u32 {
    const CHECKSUM_UNNECESSARY: u8 = 1;
    const CHECKSUM_PARTIAL: u8 = 3;
    let at = offset!(ip_summed);
    if at == 0 {
        return 0;
    }
    let mut octet = 0_u8;
    // SAFETY: the helper fills the octet, or leaves it as it is when it fails.
    unsafe {
        let from: *const c_void = skb.as_ptr().byte_add(at as usize / 8);
        bpf_probe_read_kernel((&raw mut octet).cast(), 1, from);
    }
    match octet >> (at % 8) & 3 {
        CHECKSUM_PARTIAL => PACKET_CHECKSUM_PARTIAL,
        CHECKSUM_UNNECESSARY => PACKET_CHECKSUM_VALID,
        _ => 0,
    }
}

/// The record of a frame that XDP received: without an owner, and with any VLAN tag still in the octets.
#[inline(always)]
pub(crate) fn of_frame(frame: XdpFrame) -> PacketRecord {
    // SAFETY: the program's context.
    let (length, ifindex) = unsafe { (bpf_xdp_get_buff_len(frame.0), (*frame.0).ingress_ifindex) };
    PacketRecord {
        time_ns: now_ns(),
        owner: UNOWNED,
        length: length as u32,
        ifindex,
        ..PacketRecord::default()
    }
}
