//! A process sends or receives: the hot path. Found out are the caller and, for protocols without counters of their
//! own, the bytes.

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, fexit},
    programs::{BtfTracePointContext, FEntryContext, FExitContext},
};
use net_traffic_common::{FAMILY_INET6, FAMILY_PACKET, KERNEL_COUNTS};

use crate::{
    account::{counters::Counters, fault_injection, process, socket, storage},
    kernel::{Memory, Sk, Typed, current_pid},
};

/// `MSG_PEEK` and `MSG_ERRQUEUE`: the call leaves the receive queue as it is.
const NOT_CONSUMING: u32 = 0x2 | 0x2000;

/// As [`nt_send_tp`], but reads the storage cache first: most calls are by the owner of a stream.
#[btf_tracepoint(function = "sock_send_length")]
fn nt_send_fast_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::new(ctx.arg(0)) };
    if is_owners_stream(sk) { 0 } else { sent(sk, ctx.arg(1)) }
}

/// As [`nt_recv_tp`], but reads the storage cache first.
#[btf_tracepoint(function = "sock_recv_length")]
fn nt_recv_fast_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::new(ctx.arg(0)) };
    if is_owners_stream(sk) { 0 } else { received(sk, ctx.arg(1), ctx.arg(2)) }
}

/// `void sock_send_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3; [after the call][send]
/// of the protocol's `sendmsg`.
///
/// [send]: https://github.com/gregkh/linux/blob/v6.12.117/net/socket.c#L710-L720
#[btf_tracepoint(function = "sock_send_length")]
fn nt_send_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    sent(sk, ctx.arg(1))
}

/// `void sock_recv_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3; [after the call][recv]
/// of the protocol's `recvmsg`. A splice from a socket does not pass it.
///
/// [recv]: https://github.com/gregkh/linux/blob/v6.12.117/net/socket.c#L1032-L1042
#[btf_tracepoint(function = "sock_recv_length")]
fn nt_recv_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    received(sk, ctx.arg(1), ctx.arg(2))
}

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`, since Linux 4.1.
#[fexit(function = "tcp_sendmsg")]
fn nt_tcp_send_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    sent(sk, ctx.ret::<i32>().unwrap_or(0))
}

/// `void tcp_cleanup_rbuf(struct sock *sk, int copied)`, since Linux 2.6; called under the socket's lock after each
/// kind of read: [`recvmsg`][recvmsg], [splice][splice], [zero-copy][zerocopy].
///
/// [recvmsg]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L2840
/// [splice]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L1640
/// [zerocopy]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L2254
#[fentry(function = "tcp_cleanup_rbuf")]
fn nt_tcp_recv_fe(ctx: FEntryContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    super::state::tcp_read(sk)
}

/// `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1. `udpv6_sendmsg`
/// [calls it for mapped addresses][mapped] and counts those itself.
///
/// [mapped]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv6/udp.c#L1461-L1463
#[fexit(function = "udp_sendmsg")]
fn nt_udp4_send_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    if sk.skc_family() == FAMILY_INET6 {
        return 0;
    }
    sent(sk, ctx.ret::<i32>().unwrap_or(0))
}

/// `int udpv6_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[fexit(function = "udpv6_sendmsg")]
fn nt_udp6_send_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    sent(sk, ctx.ret::<i32>().unwrap_or(0))
}

/// `int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[fexit(function = "udp_recvmsg")]
fn nt_udp4_recv_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    received(sk, ctx.ret::<i32>().unwrap_or(0), ctx.arg(3))
}

/// `int udpv6_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[fexit(function = "udpv6_recvmsg")]
fn nt_udp6_recv_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    received(sk, ctx.ret::<i32>().unwrap_or(0), ctx.arg(3))
}

/// `static int mptcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 5.6.
#[fexit(function = "mptcp_sendmsg")]
fn nt_mptcp_snd_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    sent(sk, ctx.ret::<i32>().unwrap_or(0))
}

/// `static int mptcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`,
/// since Linux 5.19.
#[fexit(function = "mptcp_recvmsg")]
fn nt_mptcp_rcv_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    received(sk, ctx.ret::<i32>().unwrap_or(0), ctx.arg(3))
}

/// `int packet_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[fexit(function = "packet_sendmsg")]
fn nt_pkt_send_fx(ctx: FExitContext) -> i32 {
    frames_sent(ctx.ret::<i32>().unwrap_or(0))
}

/// Whether the storage cache shows that the stack counts the socket's bytes and the current process is the owner, so
/// that the call needs no update.
#[inline(always)]
fn is_owners_stream(sk: Sk<Typed>) -> bool {
    storage::cached_owner(sk)
        .is_some_and(|cached| cached.flags & KERNEL_COUNTS != 0 && cached.owner.pid() == current_pid())
}

#[inline(always)]
pub(crate) fn sent<M: Memory>(sk: Sk<M>, ret: i32) -> i32 {
    match storage::of_tier(sk) {
        Some(counters) if counters.is_of_current() => {
            if !counters.is_counted_by_kernel() && ret > 0 && !fault_injection::should_drop() {
                counters.add(0, ret as u64);
            }
            0
        }
        counters => sent_by_other(sk, ret, counters),
    }
}

/// The same for a socket without counters, without an owner, or of another owner. A function of its own, because such
/// calls are rare: the code of the common call stays small and needs no stack.
#[inline(never)]
fn sent_by_other<M: Memory>(sk: Sk<M>, ret: i32, counters: Option<Counters>) -> i32 {
    if ret <= 0 || fault_injection::should_drop() {
        return 0;
    }
    if let Some(counters) = counters.or_else(|| socket::init_counters(sk)) {
        counters.count(0, ret as u64);
    } else if sk.skc_family() == FAMILY_PACKET {
        return frames_sent(ret);
    }
    0
}

/// The current process wrote frames to an interface by a packet socket. Such a socket has no counters: no hook runs at
/// its end, and the frames that it receives are copies.
#[inline(always)]
pub(crate) fn frames_sent(ret: i32) -> i32 {
    if ret > 0 {
        process::post(process::current(), 0, ret as u64);
    }
    0
}

#[inline(always)]
pub(crate) fn received<M: Memory>(sk: Sk<M>, ret: i32, flags: u32) -> i32 {
    match storage::of_tier(sk) {
        Some(counters) if counters.is_of_current() => {
            if !counters.is_counted_by_kernel() && is_consumed(ret, flags) && !fault_injection::should_drop()
            {
                counters.add(ret as u64, 0);
            }
            0
        }
        counters => received_by_other(sk, ret, flags, counters),
    }
}

/// As [`sent_by_other`].
#[inline(never)]
fn received_by_other<M: Memory>(sk: Sk<M>, ret: i32, flags: u32, counters: Option<Counters>) -> i32 {
    if !is_consumed(ret, flags) || fault_injection::should_drop() {
        return 0;
    }
    if let Some(counters) = counters.or_else(|| socket::init_counters(sk)) {
        counters.count(ret as u64, 0);
    }
    0
}

/// Whether a receive call with this result took bytes out of the queue.
#[inline(always)]
fn is_consumed(ret: i32, flags: u32) -> bool {
    ret > 0 && flags & NOT_CONSUMING == 0
}
