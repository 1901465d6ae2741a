//! The hot path where only kprobes may attach: the same facts, read by address.

use core::ffi::c_void;

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use net_traffic_common::{FAMILY_INET, FAMILY_INET6};

use super::{
    calls::{Kind, enter, enter_first, enter_stream, expect_no_return, leave, leave_recv, leave_send, pass},
    transfer::{frames_sent, received},
};
use crate::kernel::{Memory, Untyped, offset};

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`, since Linux 4.1.
#[kprobe(function = "tcp_sendmsg")]
fn tcp_send_kp(ctx: ProbeContext) -> u32 {
    // SAFETY: the function's prototype.
    unsafe { enter_stream(Kind::TcpSend, ctx.arg(0)) }
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
