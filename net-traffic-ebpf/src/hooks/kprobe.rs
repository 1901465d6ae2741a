//! The hot path where only kprobes may attach: the same facts, read by address.
//!
//! A return probe does not see the arguments: the entry leaves them in the map `CALLS`. The kernel tells of the returns
//! of a few calls of one function at a time only (ten, on small machines). Whoever waits for datagrams waits within the
//! call, so that these are counted where they are taken from the queue; for all others, a return that was missed is
//! noticed at the next call or the end of that thread, and is in the ledger.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_ANY,
    helpers::bpf_get_current_pid_tgid,
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use net_traffic_common::{FAMILY_INET, FAMILY_INET6, loss as causes};

use super::transfer::{frames_sent, received, sent};
use crate::{
    account::{loss, socket},
    kernel::{Memory, Untyped, offset},
    maps::{CALLS, Call},
};

/// What a call does: with the thread, the key of `CALLS`. A call of one kind may be made inside another.
#[derive(Clone, Copy)]
enum Kind {
    TcpSend = 1,
    UdpSend,
    Udp6Send,
    UdpRecv,
    Udp6Recv,
    MptcpSend,
    MptcpRecv,
}

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`, since Linux 4.1.
#[kprobe(function = "tcp_sendmsg")]
fn tcp_send_kp(ctx: ProbeContext) -> u32 {
    // SAFETY: the function's prototype.
    unsafe {
        let Some(sk) = ctx.arg::<*const c_void>(0) else { return 0 };
        // The owner's bytes are counted by the stack; only a guest's call needs its result.
        match socket::met::<Untyped>(sk) {
            Some(counters) if !socket::is_owner(counters) => enter(Kind::TcpSend, sk, 0),
            _ => pass(Kind::TcpSend),
        }
    }
    0
}

#[kretprobe(function = "tcp_sendmsg")]
fn tcp_send_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_send(Kind::TcpSend, ctx.ret()) }
}

/// `void tcp_cleanup_rbuf(struct sock *sk, int copied)`, since Linux 2.6.
#[kprobe(function = "tcp_cleanup_rbuf")]
fn tcp_recv_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg(0) {
        // SAFETY: the function's prototype.
        unsafe { super::state::tcp_read::<Untyped>(sk) };
    }
    0
}

/// `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[kprobe(function = "udp_sendmsg")]
fn udp4_send_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = ctx.arg::<*const c_void>(0) {
        // SAFETY: the function's prototype. The IPv6 function counts mapped addresses itself.
        unsafe {
            if Untyped::read::<u16>(sk, offset!(skc_family)) == FAMILY_INET {
                enter(Kind::UdpSend, sk, 0);
            } else {
                pass(Kind::UdpSend);
            }
        }
    }
    0
}

#[kretprobe(function = "udp_sendmsg")]
fn udp4_send_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_send(Kind::UdpSend, ctx.ret()) }
}

/// `int udpv6_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[kprobe(function = "udpv6_sendmsg")]
fn udp6_send_kp(ctx: ProbeContext) -> u32 {
    enter_first(Kind::Udp6Send, ctx.arg(0), 0)
}

#[kretprobe(function = "udpv6_sendmsg")]
fn udp6_send_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_send(Kind::Udp6Send, ctx.ret()) }
}

/// `int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[kprobe(function = "udp_recvmsg")]
fn udp4_recv_kp(ctx: ProbeContext) -> u32 {
    enter_first(Kind::UdpRecv, ctx.arg(0), ctx.arg(3).unwrap_or(0))
}

#[kretprobe(function = "udp_recvmsg")]
fn udp4_recv_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_recv(Kind::UdpRecv, ctx.ret()) }
}

/// `int udpv6_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[kprobe(function = "udpv6_recvmsg")]
fn udp6_recv_kp(ctx: ProbeContext) -> u32 {
    enter_first(Kind::Udp6Recv, ctx.arg(0), ctx.arg(3).unwrap_or(0))
}

#[kretprobe(function = "udpv6_recvmsg")]
fn udp6_recv_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_recv(Kind::Udp6Recv, ctx.ret()) }
}

/// `void skb_consume_udp(struct sock *sk, struct sk_buff *skb, int len)`, since Linux 4.10; a negative length for a look
/// that takes nothing. Where the compiler has put it into its callers, nobody comes by here, and the returns count.
#[kprobe(function = "skb_consume_udp")]
fn udp_taken_kp(ctx: ProbeContext) -> u32 {
    // SAFETY: the function's prototype.
    unsafe {
        let (Some(sk), Some(length)) = (ctx.arg::<*const c_void>(0), ctx.arg::<i32>(2)) else { return 0 };
        let is_v4 = Untyped::read::<u16>(sk, offset!(skc_family)) == FAMILY_INET;
        let kind = if is_v4 { Kind::UdpRecv } else { Kind::Udp6Recv };
        if length > 0 {
            // Its return has nothing to add, whether the kernel tells of it or not.
            let _call = leave(kind);
            expect_no_return(kind);
            received::<Untyped>(sk, length, 0);
        }
    }
    0
}

/// `static int mptcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 5.6.
#[kprobe(function = "mptcp_sendmsg")]
fn mptcp_send_kp(ctx: ProbeContext) -> u32 {
    enter_first(Kind::MptcpSend, ctx.arg(0), 0)
}

#[kretprobe(function = "mptcp_sendmsg")]
fn mptcp_send_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_send(Kind::MptcpSend, ctx.ret()) }
}

/// `static int mptcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`,
/// since Linux 5.19.
#[kprobe(function = "mptcp_recvmsg")]
fn mptcp_recv_kp(ctx: ProbeContext) -> u32 {
    enter_first(Kind::MptcpRecv, ctx.arg(0), ctx.arg(3).unwrap_or(0))
}

#[kretprobe(function = "mptcp_recvmsg")]
fn mptcp_recv_krp(ctx: RetProbeContext) -> u32 {
    // SAFETY: the entry left the socket.
    unsafe { leave_recv(Kind::MptcpRecv, ctx.ret()) }
}

/// `int packet_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, since Linux 4.1. Whose socket it is does
/// not matter.
#[kretprobe(function = "packet_sendmsg")]
fn packet_send_krp(ctx: RetProbeContext) -> u32 {
    frames_sent(ctx.ret()) as u32
}

/// `int inet_release(struct socket *sock)`, since Linux 2.6.
#[kprobe(function = "inet_release")]
fn release_kp(ctx: ProbeContext) -> u32 {
    // SAFETY: the function's prototype.
    unsafe {
        if let Some(socket) = ctx.arg::<*const c_void>(0) {
            let sk = Untyped::read::<u64>(socket, offset!(socket_sk)) as *const c_void;
            if matches!(Untyped::read(sk, offset!(skc_family)), FAMILY_INET | FAMILY_INET6) {
                super::socket::released::<Untyped, Untyped>(sk);
            }
        }
    }
    0
}

#[inline(always)]
fn enter_first(kind: Kind, sk: Option<*const c_void>, flags: u32) -> u32 {
    if let Some(sk) = sk {
        enter(kind, sk, flags);
    }
    0
}

#[inline(always)]
fn enter(kind: Kind, sk: *const c_void, flags: u32) {
    pass(kind);
    let call = Call { sk: sk as u64, flags: u64::from(flags) };
    if CALLS.insert(key(kind), call, u64::from(BPF_ANY)).is_err() {
        missed(kind);
    }
}

/// The thread makes a call whose return nobody waits for, or no more calls: of what an earlier one left, the kernel has
/// not told the return, and the next must not be taken for it.
#[inline(always)]
fn pass(kind: Kind) {
    if leave(kind).is_some() {
        missed(kind);
    }
}

/// What a call moved will not be known by its return.
#[inline(always)]
fn missed(kind: Kind) {
    if CALLS.get_ptr(no_return(kind)).is_none() {
        loss::count(causes::MISSED_RETURN);
    }
}

/// The current thread ends.
#[inline(always)]
pub(super) fn thread_ended() {
    pass(Kind::TcpSend);
    pass(Kind::UdpSend);
    pass(Kind::Udp6Send);
    pass(Kind::UdpRecv);
    pass(Kind::Udp6Recv);
    pass(Kind::MptcpSend);
    pass(Kind::MptcpRecv);
}

/// Calls of this kind are counted before they return.
#[inline(always)]
fn expect_no_return(kind: Kind) {
    let mark = Call { sk: 0, flags: 0 };
    if CALLS.get_ptr(no_return(kind)).is_none()
        && CALLS.insert(no_return(kind), mark, u64::from(BPF_ANY)).is_err()
    {
        // The next call tries again.
    }
}

#[inline(always)]
fn leave(kind: Kind) -> Option<Call> {
    let key = key(kind);
    // SAFETY: only this thread uses the entry.
    let call = unsafe { CALLS.get(key).copied() };
    if call.is_some() && CALLS.remove(key).is_err() {
        // The next call of this thread replaces it.
    }
    call
}

/// # Safety
/// The entry of the same call left its socket.
#[inline(always)]
unsafe fn leave_send(kind: Kind, ret: i32) -> u32 {
    if let Some(call) = leave(kind) {
        // SAFETY: as the caller promises.
        unsafe { sent::<Untyped>(call.sk as *const c_void, ret) };
    }
    0
}

/// # Safety
/// The entry of the same call left its socket.
#[inline(always)]
unsafe fn leave_recv(kind: Kind, ret: i32) -> u32 {
    if let Some(call) = leave(kind) {
        // SAFETY: as the caller promises.
        unsafe { received::<Untyped>(call.sk as *const c_void, ret, call.flags as u32) };
    }
    0
}

/// In the place of a thread's, that of thread 0, which makes no calls.
#[inline(always)]
fn no_return(kind: Kind) -> u64 {
    (kind as u64) << 32
}

#[inline(always)]
fn key(kind: Kind) -> u64 {
    (kind as u64) << 32 | bpf_get_current_pid_tgid() & 0xffff_ffff
}
