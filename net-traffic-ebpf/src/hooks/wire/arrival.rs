//! A packet arrives, before anything can drop it.

use aya_ebpf::{
    bindings::{BPF_NOEXIST, xdp_action},
    helpers::generated::bpf_xdp_get_buff_len,
    macros::xdp,
    programs::XdpContext,
};
use net_traffic_common::ArrivalCounters;

use crate::{account::loss, maps::ARRIVALS};

/// Runs for every packet that an interface receives, since Linux 5.18: in the driver, or, for drivers that cannot, at
/// the beginning of the stack.
#[xdp(frags)]
fn wire_xdp(ctx: XdpContext) -> u32 {
    // SAFETY: the program's context.
    let (ifindex, length) = unsafe { ((*ctx.ctx).ingress_ifindex, bpf_xdp_get_buff_len(ctx.ctx)) };
    if let Some(row) = ARRIVALS.get_ptr_mut(ifindex).or_else(|| begin(ifindex)) {
        // SAFETY: the row of this CPU, on which no other packet is handled meanwhile.
        unsafe {
            (*row).packets += 1;
            (*row).bytes += length;
        }
    }
    xdp_action::XDP_PASS
}

#[inline(always)]
fn begin(ifindex: u32) -> Option<*mut ArrivalCounters> {
    if let Err(error) = ARRIVALS.insert(ifindex, ArrivalCounters::default(), u64::from(BPF_NOEXIST))
        && error != loss::EEXIST
    {
        loss::count_insert(error);
    }
    ARRIVALS.get_ptr_mut(ifindex)
}
