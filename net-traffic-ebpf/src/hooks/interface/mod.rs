//! A packet crosses an interface: its class, and the payload in it.

mod egress;
mod forwarded;
mod ingress;
mod xdp_rx;

use aya_ebpf::{macros::classifier, programs::TcContext};
use net_traffic_common::{CLASS_FORWARDED, CLASS_KERNEL, CLASS_UNKNOWN, DIRECTION_RX, DIRECTION_TX};

use crate::{
    account::{
        interface::{self, Verdict},
        stream,
    },
    packet::{self, Packet, Part, TCP, UDP},
    skb::Skb,
    socket_lookup::FullSk,
};

/// `TC_ACT_UNSPEC`, [which is `TCX_NEXT` too][next]: the next program decides.
///
/// [next]: https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L6425-L6432
pub(super) const CONTINUE: i32 = -1;

/// Runs for every packet that the stack passes to an interface, [before the queueing discipline][egress], since Linux
/// 4.5.
///
/// [egress]: https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L4536
#[classifier]
fn nt_egress(ctx: TcContext) -> i32 {
    let skb = Skb::of(&ctx);
    interface::count(skb, DIRECTION_TX, &egress::verdict(skb));
    CONTINUE
}

/// Runs for every packet that an interface passes to the stack, since Linux 4.5.
#[classifier]
fn nt_ingress(ctx: TcContext) -> i32 {
    let skb = Skb::of(&ctx);
    interface::count(skb, DIRECTION_RX, &ingress::verdict(skb));
    CONTINUE
}

/// The verdict on a packet whose headers cannot be read: it is not IP (ARP, protocols of a bridge), or malformed.
#[inline(always)]
fn unread(skb: Skb, is_forwarded: bool) -> Verdict {
    let class = match (is_forwarded, packet::is_ip(skb)) {
        (true, _) => CLASS_FORWARDED,
        (false, false) => CLASS_KERNEL,
        (false, true) => CLASS_UNKNOWN,
    };
    Verdict { class, payload: 0, divisible: 0 }
}

/// Payload of a TCP segment that passes for the first time.
#[inline(always)]
fn first_transmission(sk: FullSk, packet: &Packet, skb: Skb, direction: u16) -> u32 {
    if packet.part == Part::Later {
        return packet.payload;
    }
    stream::first_time(sk, packet, skb.ifindex(), direction)
}

/// The bytes that a GSO packet divides among its segments.
#[inline(always)]
fn divisible(skb: Skb, packet: &Packet) -> u32 {
    if matches!(packet.protocol, TCP | UDP) && packet.payload <= skb.len() { packet.payload } else { 0 }
}
