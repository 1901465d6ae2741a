//! A process sends pages by sendfile or splice, on kernels with functions for that: up to Linux 6.4. From 6.5 on,
//! such a send is a message like any other.

use aya_ebpf::{
    macros::{fexit, kprobe, kretprobe},
    programs::{FExitContext, ProbeContext, RetProbeContext},
};

use super::{
    calls::{Kind, enter_probe, enter_stream, leave, leave_send, socket_of},
    transfer::sent,
};
use crate::kernel::{Sk, Typed};

/// `int tcp_sendpage(struct sock *sk, struct page *page, int offset, size_t size, int flags)`, [Linux 2.6 to
/// 6.4][tcp].
///
/// [tcp]: https://github.com/gregkh/linux/blob/v6.1.192/net/ipv4/tcp.c#L1156
#[fexit(function = "tcp_sendpage")]
fn nt_tcp_page_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    sent(sk, ctx.ret::<i32>().unwrap_or(0))
}

#[kprobe(function = "tcp_sendpage")]
fn nt_tcp_page_kp(ctx: ProbeContext) -> u32 {
    enter_stream(Kind::TcpPage, &ctx)
}

#[kretprobe(function = "tcp_sendpage")]
fn nt_tcp_page_kr(ctx: RetProbeContext) -> u32 {
    leave_send(Kind::TcpPage, ctx.ret())
}

/// `ssize_t ip_append_page(struct sock *sk, struct flowi4 *fl4, struct page *page, int offset, size_t size, int flags)`,
/// [Linux 2.6 to 6.4][append]; 0 if the page is in the datagram. `udp_sendpage` appends its page by this function.
/// Later kernels of these, and all where the interface cannot gather fragments, call `udp_sendmsg`
/// [instead][instead], which counts.
///
/// [append]: https://github.com/gregkh/linux/blob/v6.1.192/net/ipv4/ip_output.c#L1365
/// [instead]: https://github.com/gregkh/linux/blob/v6.1.192/net/ipv4/udp.c#L1428-L1439
#[fexit(function = "ip_append_page")]
fn nt_udp_page_fx(ctx: FExitContext) -> i32 {
    if ctx.ret::<i32>().unwrap_or(-1) == 0 {
        // SAFETY: the function's prototype.
        let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
        sent(sk, ctx.arg::<u64>(4) as i32)
    } else {
        0
    }
}

#[kprobe(function = "ip_append_page")]
fn nt_udp_page_kp(ctx: ProbeContext) -> u32 {
    enter_probe(Kind::UdpPage, &ctx, ctx.arg::<u64>(4).unwrap_or(0) as u32)
}

#[kretprobe(function = "ip_append_page")]
fn nt_udp_page_kr(ctx: RetProbeContext) -> u32 {
    if let Some(call) = leave(Kind::UdpPage)
        && ctx.ret::<i32>() == 0
    {
        // The entry probe stored the size in the place of flags.
        sent(socket_of(&call), call.flags as i32);
    }
    0
}
