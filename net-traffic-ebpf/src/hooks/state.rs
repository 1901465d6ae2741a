//! A TCP connection is established, closes, is read under its lock, and ends.

use core::ffi::c_void;

use aya_ebpf::{
    helpers::generated::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext,
};
use net_traffic_common::{SocketCounters, TX_FINAL};

use crate::{
    account::{
        record, socket, storage,
        tcp::{self, CLOSE, ESTABLISHED, FIN_WAIT1, LAST_ACK, SYN_SENT},
    },
    kernel::{Memory, Typed, offset},
};

/// `void inet_sock_set_state(const struct sock *sk, const int oldstate, const int newstate)`, tracepoint, since
/// Linux 4.16. It fires before a FIN is queued and before a disconnect resets the counters.
#[btf_tracepoint(function = "inet_sock_set_state")]
fn state_tp(ctx: BtfTracePointContext) -> i32 {
    let (sk, old, new): (*const c_void, i32, i32) = (ctx.arg(0), ctx.arg(1), ctx.arg(2));
    // SAFETY: the tracepoint's prototype.
    unsafe {
        let tp = Typed::tcp(sk);
        if tp.is_null() {
            return 0;
        }
        match new as u8 {
            ESTABLISHED => established(sk, tp, old as u8),
            FIN_WAIT1 | LAST_ACK | CLOSE => {
                if let Some(counters) = storage::get::<Typed>(sk) {
                    socket::finish_tx(tp, counters);
                    (*counters).rx_bytes = tcp::totals::<Typed>(tp, &*counters).0;
                }
            }
            _ => {}
        }
    }
    0
}

/// `void tcp_destroy_sock(struct sock *sk)`, tracepoint, since Linux 4.16.
#[btf_tracepoint(function = "tcp_destroy_sock")]
fn destroy_tp(ctx: BtfTracePointContext) -> i32 {
    let sk: *const c_void = ctx.arg(0);
    if let Some(counters) = storage::get::<Typed>(sk) {
        // SAFETY: the tracepoint's prototype; the storage is the socket's.
        unsafe { record::send_closed::<Typed>(sk, counters) };
        storage::remove::<Typed>(sk);
    }
    0
}

/// The counters of a new connection begin, or those of a socket that connects again go on.
///
/// # Safety
/// `sk` and `tp` are the socket, with types that the verifier knows.
#[inline(always)]
unsafe fn established(sk: *const c_void, tp: *const c_void, old: u8) {
    // SAFETY: as the caller promises.
    unsafe {
        // An active opener's SYN is acknowledged by now, and with it what a fast open sent in it.
        let early = if old == SYN_SENT { sent_with_syn(tp) } else { 0 };
        if let Some(counters) = storage::get::<Typed>(sk) {
            if old == SYN_SENT {
                let (rx, tx) = ((*counters).rx_bytes, (*counters).tx_bytes);
                tcp::rebase::<Typed>(tp, &mut *counters, rx, tx.wrapping_add(early));
                (*counters).flags &= !TX_FINAL;
            }
            return;
        }
        let mut initial = SocketCounters { opened_ns: bpf_ktime_get_ns(), ..SocketCounters::default() };
        if socket::begin::<Typed>(sk, &mut initial) {
            tcp::rebase::<Typed>(tp, &mut initial, 0, early);
            let _begun = storage::get_or_insert::<Typed>(sk, &initial);
        }
    }
}

/// # Safety
/// `tp` points to a `struct tcp_sock` that the verifier knows.
#[inline(always)]
unsafe fn sent_with_syn(tp: *const c_void) -> u64 {
    // SAFETY: as the caller promises.
    unsafe {
        let written: u32 = Typed::read(tp, offset!(write_seq));
        let in_flight = written.wrapping_sub(Typed::read::<u32>(tp, offset!(snd_una)));
        (Typed::read::<u64>(tp, offset!(bytes_acked)) + u64::from(in_flight)).saturating_sub(1)
    }
}

/// A process has read from the connection and still holds its lock: what was read since the lock was held last
/// is the process's.
///
/// # Safety
/// `sk` points to a `struct sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn tcp_read<M: Memory>(sk: *const c_void) -> i32 {
    // SAFETY: as the caller promises.
    unsafe {
        // In a softirq nobody "owns" the lock, and the current process is not the reader.
        if M::read::<u32>(sk, offset!(sk_lock_owned)) == 0 {
            return 0;
        }
        let tp = M::tcp(sk);
        if tp.is_null() {
            return 0;
        }
        let Some(counters) = socket::met::<M>(sk) else { return 0 };
        let position = tcp::read_position::<M>(tp);
        let read = position.wrapping_sub((*counters).rx_seen_seq);
        if read == 0 {
            return 0;
        }
        (*counters).rx_seen_seq = position;
        if !socket::is_owner(counters) {
            socket::post_to_guest(counters, u64::from(read), 0);
        }
    }
    0
}
