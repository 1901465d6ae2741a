//! A TCP connection is established, closed, read under its lock, and destroyed.

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use net_traffic_common::{SocketCounters, TX_FINAL};

use crate::{
    account::{
        record, socket, storage,
        tcp::{self, CLOSE, ESTABLISHED, FIN_WAIT1, LAST_ACK, SYN_SENT},
    },
    kernel::{Memory, Sk, TcpSk, Typed},
};

/// `void inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, tracepoint, since
/// Linux 4.16. It fires [before a FIN is queued][fin] and [before a disconnect resets the counters][disconnect].
///
/// [fin]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L3011-L3012
/// [disconnect]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L3298-L3380
#[btf_tracepoint(function = "inet_sock_set_state")]
fn nt_tcp_state_tp(ctx: BtfTracePointContext) -> i32 {
    let (old, new): (i32, i32) = (ctx.arg(1), ctx.arg(2));
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    let Some(tp) = sk.tcp() else { return 0 };
    match new as u8 {
        ESTABLISHED => established(sk, tp, old as u8),
        FIN_WAIT1 | LAST_ACK | CLOSE => {
            if let Some(mut counters) = storage::get(sk) {
                counters.finish_tx(tp);
                let counters = counters.members();
                counters.rx_bytes = tcp::totals(tp, counters).0;
            }
        }
        _ => {}
    }
    0
}

/// `void tcp_destroy_sock(struct sock *sk)`, tracepoint, since Linux 4.16.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn nt_destroy_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::<Typed>::new(ctx.arg(0)) };
    if let Some(counters) = storage::get(sk) {
        record::send_closed(Some(sk), counters);
        storage::remove(sk);
    }
    0
}

/// The counters of a new connection begin; those of a socket that connects again go on. `sk` and `tp` are one socket.
#[inline(always)]
fn established(sk: Sk<Typed>, tp: TcpSk<Typed>, old: u8) {
    // The peer has acknowledged an active opener's SYN by now, and with it the data that a fast open sent in the SYN.
    let early = if old == SYN_SENT { sent_with_syn(tp) } else { 0 };
    if let Some(mut counters) = storage::get(sk) {
        if old == SYN_SENT {
            let counters = counters.members();
            let (rx, tx) = (counters.rx_bytes, counters.tx_bytes);
            tcp::rebase(tp, counters, rx, tx.wrapping_add(early));
            counters.flags &= !TX_FINAL;
        }
        return;
    }
    // SAFETY: the helper has no requirement.
    let opened_ns = unsafe { bpf_ktime_get_ns() };
    let mut initial = SocketCounters { opened_ns, ..SocketCounters::default() };
    if socket::identify(sk, &mut initial) {
        tcp::rebase(tp, &mut initial, 0, early);
        let _inserted = storage::get_or_insert(sk, &initial);
    }
}

#[inline(always)]
fn sent_with_syn(tp: TcpSk<Typed>) -> u64 {
    let written = tp.write_seq();
    let in_flight = written.wrapping_sub(tp.snd_una());
    (tp.bytes_acked() + u64::from(in_flight)).saturating_sub(1)
}

/// A process has read from the connection and still holds the socket's lock: the bytes read since the lock was held
/// last are the process's.
#[inline(always)]
pub(crate) fn tcp_read<M: Memory>(sk: Sk<M>) -> i32 {
    // In a softirq no process holds the lock, and the current process is not the reader.
    if sk.sk_lock_owned() == 0 {
        return 0;
    }
    let Some(tp) = sk.tcp() else { return 0 };
    let Some(mut counters) = socket::counters_of(sk) else { return 0 };
    let position = tcp::read_position(tp);
    let read = position.wrapping_sub(counters.members().rx_seen_seq);
    if read == 0 {
        return 0;
    }
    counters.members().rx_seen_seq = position;
    if !counters.has_current_as_owner() {
        counters.post_to_caller(u64::from(read), 0);
    }
    0
}
