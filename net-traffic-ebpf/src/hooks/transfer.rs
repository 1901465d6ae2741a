//! A process sends or receives: the hot path. Whose call is it, and, for protocols that keep no count, how much.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, fexit},
    programs::{BtfTracePointContext, FEntryContext, FExitContext},
};
use net_traffic_common::{FAMILY_INET6, FAMILY_PACKET, KERNEL_COUNTS, SocketCounters};

use crate::{
    account::{process, sabotage, socket, storage},
    kernel::{Memory, Typed, current_pid, offset},
};

/// `MSG_PEEK` and `MSG_ERRQUEUE`: nothing leaves the receive queue.
const NOT_CONSUMING: u32 = 0x2 | 0x2000;

/// As [`send_tp`], but with a glance first at what nearly all calls are: of a stream's owner.
#[btf_tracepoint(function = "sock_send_length")]
fn send_peek_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { if is_owners_stream(ctx.arg(0)) { 0 } else { sent::<Typed>(ctx.arg(0), ctx.arg(1)) } }
}

/// As [`recv_tp`], but with the same glance.
#[btf_tracepoint(function = "sock_recv_length")]
fn recv_peek_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe {
        if is_owners_stream(ctx.arg(0)) { 0 } else { received::<Typed>(ctx.arg(0), ctx.arg(1), ctx.arg(2)) }
    }
}

/// `void sock_send_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3.
#[btf_tracepoint(function = "sock_send_length")]
fn send_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { sent::<Typed>(ctx.arg(0), ctx.arg(1)) }
}

/// `void sock_recv_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3.
#[btf_tracepoint(function = "sock_recv_length")]
fn recv_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { received::<Typed>(ctx.arg(0), ctx.arg(1), ctx.arg(2)) }
}

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`, since Linux 4.1.
#[fexit(function = "tcp_sendmsg")]
fn tcp_send_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { sent::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0)) }
}

/// `void tcp_cleanup_rbuf(struct sock *sk, int copied)`, since Linux 2.6; called under the socket's lock after
/// every kind of read, splice included.
#[fentry(function = "tcp_cleanup_rbuf")]
fn tcp_recv_fe(ctx: FEntryContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { super::state::tcp_read::<Typed>(ctx.arg(0)) }
}

/// `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1. The IPv6 function calls it
/// for mapped addresses: it counts those itself.
#[fexit(function = "udp_sendmsg")]
fn udp4_send_fx(ctx: FExitContext) -> i32 {
    let sk: *const c_void = ctx.arg(0);
    // SAFETY: the function's prototype.
    unsafe {
        if Typed::read::<u16>(sk, offset!(skc_family)) == FAMILY_INET6 {
            return 0;
        }
        sent::<Typed>(sk, ctx.ret::<i32>().unwrap_or(0))
    }
}

/// `int udpv6_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[fexit(function = "udpv6_sendmsg")]
fn udp6_send_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { sent::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0)) }
}

/// `int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[fexit(function = "udp_recvmsg")]
fn udp4_recv_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { received::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0), ctx.arg(3)) }
}

/// `int udpv6_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[fexit(function = "udpv6_recvmsg")]
fn udp6_recv_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { received::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0), ctx.arg(3)) }
}

/// `static int mptcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 5.6.
#[fexit(function = "mptcp_sendmsg")]
fn mptcp_send_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { sent::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0)) }
}

/// `static int mptcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`,
/// since Linux 5.19.
#[fexit(function = "mptcp_recvmsg")]
fn mptcp_recv_fx(ctx: FExitContext) -> i32 {
    // SAFETY: the function's prototype.
    unsafe { received::<Typed>(ctx.arg(0), ctx.ret::<i32>().unwrap_or(0), ctx.arg(3)) }
}

/// `int packet_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[fexit(function = "packet_sendmsg")]
fn packet_send_fx(ctx: FExitContext) -> i32 {
    frames_sent(ctx.ret::<i32>().unwrap_or(0))
}

/// Whether the stack counts the socket's bytes and the current process owns it, so that nothing is to be done. `false` if
/// that takes a closer look.
///
/// # Safety
/// `sk` points to a `struct sock` whose type the verifier knows.
#[inline(always)]
unsafe fn is_owners_stream(sk: *const c_void) -> bool {
    // SAFETY: as the caller promises.
    unsafe { storage::peek(sk) }
        .is_some_and(|peeked| peeked.flags & KERNEL_COUNTS != 0 && peeked.owner.pid() == current_pid())
}

/// # Safety
/// `sk` points to a `struct sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn sent<M: Memory>(sk: *const c_void, ret: i32) -> i32 {
    let known = storage::of_tier::<M>(sk).unwrap_or(ptr::null_mut());
    // SAFETY: as the caller promises; what is not null is a live map value.
    unsafe {
        if known.is_null() || !socket::is_of_current(known) {
            sent_by_another::<M>(sk, ret, known)
        } else {
            if !socket::is_counted_by_kernel(known) && ret > 0 && !sabotage::takes_it() {
                socket::moved_by_owner(known, 0, ret as u64);
            }
            0
        }
    }
}

/// The same of a socket without counters or without an owner, or of another's: seldom, and a function of its own,
/// because what runs on each call is cheap only while it is small and needs no stack.
///
/// # Safety
/// As for [`sent`]; `known` is a live map value or null.
#[inline(never)]
unsafe fn sent_by_another<M: Memory>(sk: *const c_void, ret: i32, known: *mut SocketCounters) -> i32 {
    if ret <= 0 || sabotage::takes_it() {
        return 0;
    }
    // SAFETY: as the caller promises.
    unsafe {
        let counters = if known.is_null() { socket::first_met::<M>(sk) } else { known };
        if !counters.is_null() {
            socket::moved(counters, 0, ret as u64);
        } else if M::read::<u16>(sk, offset!(skc_family)) == FAMILY_PACKET {
            return frames_sent(ret);
        }
    }
    0
}

/// The current process wrote frames to an interface. Such a socket has no counters of its own: its end is not seen, and
/// what it receives are copies of what others do.
#[inline(always)]
pub(crate) fn frames_sent(ret: i32) -> i32 {
    if ret > 0 {
        process::post(process::current(), 0, ret as u64);
    }
    0
}

/// # Safety
/// `sk` points to a `struct sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn received<M: Memory>(sk: *const c_void, ret: i32, flags: u32) -> i32 {
    let known = storage::of_tier::<M>(sk).unwrap_or(ptr::null_mut());
    // SAFETY: as the caller promises; what is not null is a live map value.
    unsafe {
        if known.is_null() || !socket::is_of_current(known) {
            received_by_another::<M>(sk, ret, flags, known)
        } else {
            if !socket::is_counted_by_kernel(known) && is_taken(ret, flags) && !sabotage::takes_it() {
                socket::moved_by_owner(known, ret as u64, 0);
            }
            0
        }
    }
}

/// As [`sent_by_another`].
///
/// # Safety
/// As for [`received`]; `known` is a live map value or null.
#[inline(never)]
unsafe fn received_by_another<M: Memory>(
    sk: *const c_void,
    ret: i32,
    flags: u32,
    known: *mut SocketCounters,
) -> i32 {
    if !is_taken(ret, flags) || sabotage::takes_it() {
        return 0;
    }
    // SAFETY: as the caller promises.
    unsafe {
        let counters = if known.is_null() { socket::first_met::<M>(sk) } else { known };
        if !counters.is_null() {
            socket::moved(counters, ret as u64, 0);
        }
    }
    0
}

/// Whether a receive with this result took something out of the queue.
#[inline(always)]
fn is_taken(ret: i32, flags: u32) -> bool {
    ret > 0 && flags & NOT_CONSUMING == 0
}
