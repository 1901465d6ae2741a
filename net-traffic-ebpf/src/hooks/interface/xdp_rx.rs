//! A frame is received, before any program or queue can drop it.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, xdp_action},
    helpers::generated::bpf_xdp_get_buff_len,
    macros::xdp,
    programs::XdpContext,
};
use net_traffic_common::XdpRxCounters;

use crate::{account::loss, maps::XDP_RX};

/// Runs for every frame that an interface receives, since Linux 5.18: in the driver, or, for drivers without XDP,
/// [at the beginning of the stack][generic].
///
/// [generic]: https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L5672
#[xdp(frags)]
fn nt_xdp_rx(ctx: XdpContext) -> u32 {
    // SAFETY: the program's context.
    let (ifindex, length) = unsafe { ((*ctx.ctx).ingress_ifindex, bpf_xdp_get_buff_len(ctx.ctx)) };
    if let Some(row) = XDP_RX.get_ptr_mut(ifindex).or_else(|| insert(ifindex)) {
        // SAFETY: the row is this CPU's, and this CPU handles no other packet meanwhile.
        unsafe {
            (*row).packets += 1;
            (*row).bytes += length;
        }
    }
    xdp_action::XDP_PASS
}

#[inline(always)]
fn insert(ifindex: u32) -> Option<*mut XdpRxCounters> {
    loss::count_failed(XDP_RX.insert(ifindex, XdpRxCounters::default(), u64::from(BPF_NOEXIST)));
    XDP_RX.get_ptr_mut(ifindex)
}
