//! The hot path where only kprobes attach: the same facts, read from untyped pointers.

use core::ffi::c_void;

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};
use net_traffic_common::FAMILY_INET;

use super::{
    calls::{
        Kind, clear, enter, enter_probe, enter_stream, expect_no_return, first_argument, leave, leave_recv,
        leave_send,
    },
    transfer::{frames_sent, received},
};
use crate::kernel::{Socket, Untyped};

/// `int tcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t size)`, since Linux 4.1.
#[kprobe(function = "tcp_sendmsg")]
fn nt_tcp_send_kp(ctx: ProbeContext) -> u32 {
    enter_stream(Kind::TcpSend, &ctx)
}

#[kretprobe(function = "tcp_sendmsg")]
fn nt_tcp_send_kr(ctx: RetProbeContext) -> u32 {
    leave_send(Kind::TcpSend, ctx.ret())
}

/// `void tcp_cleanup_rbuf(struct sock *sk, int copied)`, since Linux 2.6.
#[kprobe(function = "tcp_cleanup_rbuf")]
fn nt_tcp_recv_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = first_argument(&ctx) {
        super::state::tcp_read(sk);
    }
    0
}

/// `int udp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1. `udpv6_sendmsg` calls it for
/// mapped addresses and counts those itself.
#[kprobe(function = "udp_sendmsg")]
fn nt_udp4_send_kp(ctx: ProbeContext) -> u32 {
    if let Some(sk) = first_argument(&ctx) {
        if sk.skc_family() == FAMILY_INET {
            enter(Kind::UdpSend, sk, 0);
        } else {
            clear(Kind::UdpSend);
        }
    }
    0
}

#[kretprobe(function = "udp_sendmsg")]
fn nt_udp4_send_kr(ctx: RetProbeContext) -> u32 {
    leave_send(Kind::UdpSend, ctx.ret())
}

/// `int udpv6_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 4.1.
#[kprobe(function = "udpv6_sendmsg")]
fn nt_udp6_send_kp(ctx: ProbeContext) -> u32 {
    enter_probe(Kind::Udp6Send, &ctx, 0)
}

#[kretprobe(function = "udpv6_sendmsg")]
fn nt_udp6_send_kr(ctx: RetProbeContext) -> u32 {
    leave_send(Kind::Udp6Send, ctx.ret())
}

/// `int udp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[kprobe(function = "udp_recvmsg")]
fn nt_udp4_recv_kp(ctx: ProbeContext) -> u32 {
    enter_probe(Kind::UdpRecv, &ctx, ctx.arg(3).unwrap_or(0))
}

#[kretprobe(function = "udp_recvmsg")]
fn nt_udp4_recv_kr(ctx: RetProbeContext) -> u32 {
    leave_recv(Kind::UdpRecv, ctx.ret())
}

/// `int udpv6_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`, since Linux 5.19.
#[kprobe(function = "udpv6_recvmsg")]
fn nt_udp6_recv_kp(ctx: ProbeContext) -> u32 {
    enter_probe(Kind::Udp6Recv, &ctx, ctx.arg(3).unwrap_or(0))
}

#[kretprobe(function = "udpv6_recvmsg")]
fn nt_udp6_recv_kr(ctx: RetProbeContext) -> u32 {
    leave_recv(Kind::Udp6Recv, ctx.ret())
}

/// `void skb_consume_udp(struct sock *sk, struct sk_buff *skb, int len)`, since Linux 4.10; [a negative length][peek]
/// for `MSG_PEEK`. On kernels whose compiler inlined the function into its callers, the probe never runs, and the
/// returns count.
///
/// [peek]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/udp.c#L1980
#[kprobe(function = "skb_consume_udp")]
fn nt_consume_kp(ctx: ProbeContext) -> u32 {
    let (Some(sk), Some(length)) = (first_argument(&ctx), ctx.arg::<i32>(2)) else { return 0 };
    let kind = if sk.skc_family() == FAMILY_INET { Kind::UdpRecv } else { Kind::Udp6Recv };
    if length > 0 {
        // The call's return adds nothing, missed or not.
        let _call = leave(kind);
        expect_no_return(kind);
        received(sk, length, 0);
    }
    0
}

/// `static int mptcp_sendmsg(struct sock *sk, struct msghdr *msg, size_t len)`, since Linux 5.6.
#[kprobe(function = "mptcp_sendmsg")]
fn nt_mptcp_snd_kp(ctx: ProbeContext) -> u32 {
    enter_probe(Kind::MptcpSend, &ctx, 0)
}

#[kretprobe(function = "mptcp_sendmsg")]
fn nt_mptcp_snd_kr(ctx: RetProbeContext) -> u32 {
    leave_send(Kind::MptcpSend, ctx.ret())
}

/// `static int mptcp_recvmsg(struct sock *sk, struct msghdr *msg, size_t len, int flags, int *addr_len)`,
/// since Linux 5.19.
#[kprobe(function = "mptcp_recvmsg")]
fn nt_mptcp_rcv_kp(ctx: ProbeContext) -> u32 {
    enter_probe(Kind::MptcpRecv, &ctx, ctx.arg(3).unwrap_or(0))
}

#[kretprobe(function = "mptcp_recvmsg")]
fn nt_mptcp_rcv_kr(ctx: RetProbeContext) -> u32 {
    leave_recv(Kind::MptcpRecv, ctx.ret())
}

/// `int packet_sendmsg(struct socket *sock, struct msghdr *msg, size_t len)`, since Linux 4.1. The socket is not
/// needed.
#[kretprobe(function = "packet_sendmsg")]
fn nt_pkt_send_kr(ctx: RetProbeContext) -> u32 {
    frames_sent(ctx.ret()) as u32
}

/// `int inet_release(struct socket *sock)`, since Linux 2.6.
#[kprobe(function = "inet_release")]
fn nt_release_kp(ctx: ProbeContext) -> u32 {
    if let Some(socket) = ctx.arg::<*const c_void>(0) {
        // SAFETY: the function's prototype.
        super::release::inet_release(unsafe { Socket::<Untyped>::new(socket) });
    }
    0
}
