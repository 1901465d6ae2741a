//! A packet crosses an interface: whose is it?

mod arrival;
mod forwarded;
mod incoming;
mod outgoing;

use aya_ebpf::{
    bindings::{__sk_buff, bpf_sock},
    macros::classifier,
    programs::TcContext,
};
use net_traffic_common::{CLASS_FORWARDED, CLASS_KERNEL, CLASS_UNKNOWN, WIRE_RX, WIRE_TX};

use crate::{
    account::{
        stream,
        wire::{self, Verdict},
    },
    packet::{self, Packet, Part, TCP, UDP},
};

/// `TC_ACT_UNSPEC`, which is `TCX_NEXT` too: whoever is attached behind us decides.
const GO_ON: i32 = -1;

/// Runs for every packet that the stack hands to an interface, before any queue, since Linux 4.5.
#[classifier]
fn wire_egress(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    wire::count(skb, WIRE_TX, &outgoing::verdict(skb));
    GO_ON
}

/// Runs for every packet that an interface hands to the stack, since Linux 4.5.
#[classifier]
fn wire_ingress(ctx: TcContext) -> i32 {
    let skb = ctx.skb.skb;
    wire::count(skb, WIRE_RX, &incoming::verdict(skb));
    GO_ON
}

/// What cannot be looked into: it is not IP (ARP, a bridge's protocols), or it is malformed.
#[inline(always)]
fn unread(skb: *mut __sk_buff, is_forwarded: bool) -> Verdict {
    let class = match (is_forwarded, packet::is_ip(skb)) {
        (true, _) => CLASS_FORWARDED,
        (false, false) => CLASS_KERNEL,
        (false, true) => CLASS_UNKNOWN,
    };
    Verdict { class, payload: 0, divisible: 0 }
}

/// Payload of a TCP segment that passes for the first time.
///
/// # Safety
/// `sk` is a socket that the verifier knows.
#[inline(always)]
unsafe fn fresh(sk: *mut bpf_sock, packet: &Packet, skb: *mut __sk_buff, direction: u16) -> u32 {
    if packet.part == Part::Later {
        return packet.payload;
    }
    // SAFETY: as the caller promises, and the program's context.
    unsafe { stream::first_time(sk.cast(), packet, (*skb).ifindex, direction) }
}

/// What the segments of a large packet share out among them.
#[inline(always)]
fn divisible(skb: *mut __sk_buff, packet: &Packet) -> u32 {
    // SAFETY: the program's context.
    let length = unsafe { (*skb).len };
    if matches!(packet.protocol, TCP | UDP) && packet.payload <= length { packet.payload } else { 0 }
}
