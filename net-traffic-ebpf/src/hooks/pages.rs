//! A process sends pages as they are, by sendfile or splice, where the kernel has functions of their own for that: until
//! Linux 6.4. From 6.5 on such a send is a message like any other.

use core::ffi::c_void;

use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};

use super::{
    calls::{Kind, enter_first, enter_stream, leave, leave_send},
    transfer::sent,
};
use crate::{
    kernel::{Typed, Untyped},
    maps::Call,
};

/// `int tcp_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)`, Linux 2.6 to 6.4.
#[fexit(function = "tcp_sendpage")]
fn tcp_page_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { sent::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0)) }
}

#[kprobe(function = "tcp_sendpage")]
fn tcp_page_kp(ctx: ProbeContext) -> u32 {
    // SAFETY: the function's prototype.
    unsafe { enter_stream(Kind::TcpPage, ctx.arg(0)) }
}

#[kretprobe(function = "tcp_sendpage")]
fn tcp_page_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_send(Kind::TcpPage, ctx.ret()) }
}

/// `ssize_t ip_append_page(struct sock *sk, struct flowi4 *fl4, struct page *page, int offset, size_t size, int flags)`,
/// Linux 2.6 to 6.4; 0 if the page is in the datagram. It is where `udp_sendpage` adds a page of its own accord. Where it
/// makes a message of it instead, as the later ones of those kernels always do, and all if the interface cannot gather
/// pieces, `udp_sendmsg` counts, and nobody comes by here.
#[fexit(function = "ip_append_page")]
fn udp_page_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe {
        if ctx.ret::<i32>().unwrap_or(-1) == 0 {
            sent::<Typed>(ctx.arg(0), ctx.arg::<u64>(4) as i32)
        } else {
            0
        }
    }
}

#[kprobe(function = "ip_append_page")]
fn udp_page_kp(ctx: ProbeContext) -> u32 {
    enter_first(Kind::UdpPage, ctx.arg(0), ctx.arg::<u64>(4).unwrap_or(0) as u32)
}

#[kretprobe(function = "ip_append_page")]
fn udp_page_krp(ctx: RetProbeContext) -> u32 {
    if let Some(Call { sk, flags: size }) = leave(Kind::UdpPage)
        && ctx.ret::<i32>() == 0
    {
        // SAFETY: the entry left the socket, and the size.
        unsafe { sent::<Untyped>(sk as *const c_void, size as i32) };
    }
    0
}
