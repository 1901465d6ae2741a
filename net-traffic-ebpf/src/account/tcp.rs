//! The application's bytes of a TCP connection, from sequence numbers and the stack's 64-bit counters.

use net_traffic_common::{SocketCounters, TX_FINAL, extend};

use crate::kernel::{Memory, TcpSk};

/// The states of a socket ([`tcp_states.h`][states]).
///
/// [states]: https://github.com/gregkh/linux/blob/v6.12.117/include/net/tcp_states.h#L12-L25
pub(crate) const ESTABLISHED: u8 = 1;
pub(crate) const SYN_SENT: u8 = 2;
pub(crate) const FIN_WAIT1: u8 = 4;
pub(crate) const FIN_WAIT2: u8 = 5;
pub(crate) const CLOSE: u8 = 7;
pub(crate) const CLOSE_WAIT: u8 = 8;
pub(crate) const LAST_ACK: u8 = 9;
pub(crate) const LISTEN: u8 = 10;
pub(crate) const CLOSING: u8 = 11;

/// The flag that [`tcp_fin`][fin] sets when the peer's FIN is received.
///
/// [fin]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp_input.c#L4631
const SOCK_DONE: u64 = 1 << 1;

/// The payload received and sent since the base of `counters`.
#[inline(always)]
pub(crate) fn totals<M: Memory>(tp: TcpSk<M>, counters: &SocketCounters) -> (u64, u64) {
    let received = tp.bytes_received();
    let rx =
        extend(received.wrapping_sub(counters.rx_base), read_position(tp).wrapping_sub(counters.rx_base_seq));
    if counters.flags & TX_FINAL != 0 {
        return (rx, counters.tx_bytes);
    }
    let acked = tp.bytes_acked();
    let written = tp.write_seq();
    (rx, extend(acked.wrapping_sub(counters.tx_base), written.wrapping_sub(counters.tx_base_seq)))
}

/// Sets the base so that the totals are `rx` and `tx` now.
#[inline(always)]
pub(crate) fn rebase<M: Memory>(tp: TcpSk<M>, counters: &mut SocketCounters, rx: u64, tx: u64) {
    counters.rx_base = tp.bytes_received().wrapping_sub(rx);
    counters.tx_base = tp.bytes_acked().wrapping_sub(tx);
    let position = read_position(tp);
    counters.rx_base_seq = position.wrapping_sub(rx as u32);
    counters.rx_seen_seq = position;
    counters.tx_base_seq = tp.write_seq().wrapping_sub(tx as u32);
    counters.rx_bytes = rx;
    counters.tx_bytes = tx;
}

/// Payload that the application received and sent since the connection began.
///
/// `bytes_acked` [counts sequence numbers][acked], and so the SYN of an active opener; the count of sent bytes does
/// not. The smaller of the two sums is free of the SYN.
///
/// [acked]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp_input.c#L3665-L3671
#[inline(always)]
pub(crate) fn lifetime<M: Memory>(tp: TcpSk<M>) -> (u64, u64) {
    let received = tp.bytes_received();
    let arrived = tp.rcv_nxt();
    // The FIN counts in `bytes_received` and in `rcv_nxt`, read or not.
    let copied = tp.copied_seq();
    let position = read_position(tp);
    let fin_was_read = u64::from(copied.wrapping_sub(position));
    let rx = received.saturating_sub(u64::from(arrived.wrapping_sub(copied))).saturating_sub(fin_was_read);

    let written = tp.write_seq();
    let in_flight = written.wrapping_sub(tp.snd_una());
    let queued = written.wrapping_sub(tp.snd_nxt());
    // A FIN that is queued behind the data takes a sequence number, too.
    let unsent = queued.saturating_sub(u32::from(is_closing(tp.skc_state())));
    let by_ack = tp.bytes_acked().wrapping_add(u64::from(in_flight));
    let by_send = tp.bytes_sent().wrapping_sub(tp.bytes_retrans()).wrapping_add(u64::from(unsent));
    (rx, if by_ack < by_send { by_ack } else { by_send })
}

/// Whether the application has closed its side: the bytes that it wrote are final, and a FIN follows.
#[inline(always)]
pub(crate) fn is_closing(state: u8) -> bool {
    matches!(state, FIN_WAIT1 | FIN_WAIT2 | CLOSE | LAST_ACK | CLOSING)
}

/// The sequence number up to which the application has read, without the FIN: reading the end of the stream
/// [moves][fin] `copied_seq` past the FIN.
///
/// [fin]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L2827-L2829
#[inline(always)]
pub(crate) fn read_position<M: Memory>(tp: TcpSk<M>) -> u32 {
    let copied = tp.copied_seq();
    let arrived = tp.rcv_nxt();
    let flags = tp.sk_flags();
    copied.wrapping_sub(u32::from(flags & SOCK_DONE != 0 && copied == arrived))
}
