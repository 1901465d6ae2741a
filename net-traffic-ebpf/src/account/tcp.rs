//! What the TCP stack counted: the application's bytes, out of sequence numbers and 64-bit counters.

use core::ffi::c_void;

use net_traffic_common::{SocketCounters, TX_FINAL, extend};

use crate::kernel::{Memory, offset};

pub(crate) const ESTABLISHED: u8 = 1;
pub(crate) const SYN_SENT: u8 = 2;
pub(crate) const FIN_WAIT1: u8 = 4;
pub(crate) const FIN_WAIT2: u8 = 5;
pub(crate) const CLOSE: u8 = 7;
pub(crate) const CLOSE_WAIT: u8 = 8;
pub(crate) const LAST_ACK: u8 = 9;
pub(crate) const LISTEN: u8 = 10;
pub(crate) const CLOSING: u8 = 11;

/// `SOCK_DONE` of `enum sock_flags`: the peer's FIN was received.
const SOCK_DONE: u64 = 1 << 1;

/// Payload that was moved since the base of `counters`.
///
/// # Safety
/// `tp` points to a `struct tcp_sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn totals<M: Memory>(tp: *const c_void, counters: &SocketCounters) -> (u64, u64) {
    // SAFETY: as the caller promises.
    unsafe {
        let received: u64 = M::read(tp, offset!(bytes_received));
        let rx = extend(
            received.wrapping_sub(counters.rx_base),
            read_position::<M>(tp).wrapping_sub(counters.rx_base_seq),
        );
        if counters.flags & TX_FINAL != 0 {
            return (rx, counters.tx_bytes);
        }
        let acked: u64 = M::read(tp, offset!(bytes_acked));
        let written: u32 = M::read(tp, offset!(write_seq));
        (rx, extend(acked.wrapping_sub(counters.tx_base), written.wrapping_sub(counters.tx_base_seq)))
    }
}

/// Sets the base so that the totals read `rx` and `tx` now.
///
/// # Safety
/// `tp` points to a `struct tcp_sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn rebase<M: Memory>(tp: *const c_void, counters: &mut SocketCounters, rx: u64, tx: u64) {
    // SAFETY: as the caller promises.
    unsafe {
        counters.rx_base = M::read::<u64>(tp, offset!(bytes_received)).wrapping_sub(rx);
        counters.tx_base = M::read::<u64>(tp, offset!(bytes_acked)).wrapping_sub(tx);
        let position = read_position::<M>(tp);
        counters.rx_base_seq = position.wrapping_sub(rx as u32);
        counters.rx_seen_seq = position;
        counters.tx_base_seq = M::read::<u32>(tp, offset!(write_seq)).wrapping_sub(tx as u32);
    }
    counters.rx_bytes = rx;
    counters.tx_bytes = tx;
}

/// Payload that the application moved since the connection began.
///
/// `bytes_acked` holds the SYN of an active opener, the bytes sent hold none: the smaller is free of it.
///
/// # Safety
/// `tp` points to a `struct tcp_sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn lifetime<M: Memory>(tp: *const c_void) -> (u64, u64) {
    // SAFETY: as the caller promises.
    unsafe {
        let received: u64 = M::read(tp, offset!(bytes_received));
        let arrived: u32 = M::read(tp, offset!(rcv_nxt));
        // The FIN is in `bytes_received` and in `rcv_nxt` alike, read or not.
        let copied: u32 = M::read(tp, offset!(copied_seq));
        let position = read_position::<M>(tp);
        let fin_was_read = u64::from(copied.wrapping_sub(position));
        let rx =
            received.saturating_sub(u64::from(arrived.wrapping_sub(copied))).saturating_sub(fin_was_read);

        let written: u32 = M::read(tp, offset!(write_seq));
        let in_flight = written.wrapping_sub(M::read::<u32>(tp, offset!(snd_una)));
        let queued = written.wrapping_sub(M::read::<u32>(tp, offset!(snd_nxt)));
        // A FIN that waits behind the data takes a sequence number, too.
        let unsent = queued.saturating_sub(u32::from(is_closing(M::read(tp, offset!(skc_state)))));
        let by_ack = M::read::<u64>(tp, offset!(bytes_acked)).wrapping_add(u64::from(in_flight));
        let by_send = M::read::<u64>(tp, offset!(bytes_sent))
            .wrapping_sub(M::read::<u64>(tp, offset!(bytes_retrans)))
            .wrapping_add(u64::from(unsent));
        (rx, if by_ack < by_send { by_ack } else { by_send })
    }
}

/// Whether the application has closed its side: what it wrote is final, and a FIN follows it.
#[inline(always)]
pub(crate) fn is_closing(state: u8) -> bool {
    matches!(state, FIN_WAIT1 | FIN_WAIT2 | CLOSE | LAST_ACK | CLOSING)
}

/// How far the application has read, in sequence numbers, without the FIN: reading the end of the stream moves
/// `copied_seq` past it.
///
/// # Safety
/// `tp` points to a `struct tcp_sock` that `M` can read.
#[inline(always)]
pub(crate) unsafe fn read_position<M: Memory>(tp: *const c_void) -> u32 {
    // SAFETY: as the caller promises.
    unsafe {
        let copied: u32 = M::read(tp, offset!(copied_seq));
        let arrived: u32 = M::read(tp, offset!(rcv_nxt));
        let flags: u64 = M::read(tp, offset!(sk_flags));
        copied.wrapping_sub(u32::from(flags & SOCK_DONE != 0 && copied == arrived))
    }
}
