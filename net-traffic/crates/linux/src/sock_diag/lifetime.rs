//! Computes the application's bytes of a TCP socket over its whole life, from the counters of `tcp_info`
//! (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp.c#L4171>).
//!
//! The kernel counts sequence numbers, and SYN and FIN take one each. The results are payload only.
//!
//! **tx** is the smaller of two sums:
//!
//! | sum | error |
//! |---|---|
//! | `bytes_acked` + write queue | counts a queued FIN, and on the connecting side the SYN |
//! | `bytes_sent` - `bytes_retrans` + unsent | counts a segment twice that this host dropped before transmission (full queueing discipline, firewall) |
//!
//! Each sum is exact where the other is not. Where both have an error, on a connecting side that dropped its own
//! segments, tx is 1 too large for the SYN. Before Linux 4.19 `bytes_sent` does not exist, and tx of every connecting
//! side is 1 too large.
//!
//! **rx** is `bytes_received` less the read queue. The state and the read queue tell whether a received FIN is
//! included: the FIN has the last sequence number, so that a read queue with data also contains the FIN.
//!
//! The results are exact for a socket at rest. The kernel reads the queues a moment before the counters
//! (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp_diag.c#L29>). While a socket moves data, tx is the
//! amount at one moment in between, and rx may include bytes that arrived in between. A skipped urgent byte counts as
//! read.

use net_traffic_snapshot::{Bytes, State};

/// The counters of one socket in `inet_diag_msg` and `tcp_info`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCounters {
    pub state: State,
    /// Sequence numbers that the peer acknowledged: payload, FIN, and the SYN of the side that connected.
    pub bytes_acked: u64,
    /// Sequence numbers that arrived in order: payload and FIN.
    pub bytes_received: u64,
    /// Transmitted payload, retransmissions included (since Linux 4.19).
    pub bytes_sent: Option<u64>,
    /// The retransmitted part of `bytes_sent`.
    pub bytes_retrans: Option<u64>,
    /// Sequence numbers that wait for their first transmission: payload, and an unsent FIN.
    pub notsent_bytes: u32,
    /// From the last byte read to the last that arrived, FIN included.
    pub rx_queue: u32,
    /// From the last acknowledged byte to the last written, FIN included.
    pub tx_queue: u32,
}

/// Payload that the application read from and wrote to the socket.
#[must_use]
pub fn lifetime(counters: &TcpCounters) -> Bytes {
    Bytes { rx: received(counters), tx: sent(counters) }
}

fn received(counters: &TcpCounters) -> u64 {
    let passed = counters.bytes_received.saturating_sub(u64::from(counters.rx_queue));
    let fin_was_read = counters.rx_queue == 0 && fin_received(counters.state);
    passed.saturating_sub(u64::from(fin_was_read))
}

fn sent(counters: &TcpCounters) -> u64 {
    let fin = u64::from(fin_queued(counters.state));
    let by_sequence = (counters.bytes_acked + u64::from(counters.tx_queue)).saturating_sub(fin);
    let (Some(sent), Some(repeated)) = (counters.bytes_sent, counters.bytes_retrans) else {
        return by_sequence;
    };
    // The FIN has the last sequence number: if anything is unsent, the FIN is unsent.
    let unsent = u64::from(counters.notsent_bytes).saturating_sub(fin);
    by_sequence.min(sent.saturating_sub(repeated) + unsent)
}

/// Whether a FIN of the peer has arrived.
const fn fin_received(state: State) -> bool {
    matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait)
}

/// Whether this side has queued a FIN. A queued FIN has its sequence number, sent or not.
const fn fin_queued(state: State) -> bool {
    matches!(state, State::FinWait1 | State::FinWait2 | State::Closing | State::LastAck | State::TimeWait)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection at rest that sent 300 and received 500 bytes, all acknowledged and read.
    fn open(active: bool) -> TcpCounters {
        TcpCounters {
            state: State::Established,
            bytes_acked: 300 + u64::from(active),
            bytes_received: 500,
            bytes_sent: Some(300),
            bytes_retrans: Some(0),
            notsent_bytes: 0,
            rx_queue: 0,
            tx_queue: 0,
        }
    }

    #[track_caller]
    fn check(counters: TcpCounters, rx: u64, tx: u64) {
        assert_eq!(lifetime(&counters), Bytes { rx, tx }, "{counters:?}");
    }

    #[test]
    fn open_socket_on_either_side_is_exact() {
        check(open(true), 500, 300);
        check(open(false), 500, 300);
    }

    #[test]
    fn new_connection_has_zero_bytes() {
        for active in [true, false] {
            let acked = u64::from(active);
            check(
                TcpCounters { bytes_acked: acked, bytes_received: 0, bytes_sent: Some(0), ..open(active) },
                0,
                0,
            );
        }
    }

    #[test]
    fn queued_syn_is_not_sent_payload() {
        check(
            TcpCounters {
                state: State::SynSent,
                bytes_acked: 0,
                bytes_received: 0,
                bytes_sent: Some(0),
                tx_queue: 1,
                ..open(true)
            },
            0,
            0,
        );
    }

    #[test]
    fn own_fin_is_not_counted() {
        for active in [true, false] {
            let acked = 301 + u64::from(active);
            let closed = TcpCounters { state: State::FinWait2, bytes_acked: acked, ..open(active) };
            check(closed, 500, 300);
            // Not acknowledged yet: the FIN is in the write queue.
            let waiting = TcpCounters {
                state: State::FinWait1,
                bytes_acked: 100 + u64::from(active),
                tx_queue: 201,
                ..open(active)
            };
            check(waiting, 500, 300);
            // Not even sent: 50 bytes and the FIN wait for room.
            check(TcpCounters { bytes_sent: Some(250), notsent_bytes: 51, ..waiting }, 500, 300);
            // Only the FIN waits.
            check(TcpCounters { notsent_bytes: 1, ..waiting }, 500, 300);
        }
    }

    #[test]
    fn received_fin_is_not_counted() {
        for active in [true, false] {
            let read = TcpCounters { state: State::CloseWait, bytes_received: 501, ..open(active) };
            check(read, 500, 300);
            // The application has not read the end of the stream: the FIN is in the read queue.
            check(TcpCounters { rx_queue: 1, ..read }, 500, 300);
            // 40 bytes and the FIN are unread.
            check(TcpCounters { rx_queue: 41, ..read }, 460, 300);
            // All is unread.
            check(TcpCounters { rx_queue: 501, ..read }, 0, 300);
        }
    }

    #[test]
    fn fins_of_both_sides_are_not_counted() {
        for active in [true, false] {
            for state in [State::LastAck, State::Closing] {
                let both = TcpCounters {
                    state,
                    bytes_acked: 300 + u64::from(active),
                    bytes_received: 501,
                    tx_queue: 1,
                    ..open(active)
                };
                check(both, 500, 300);
                check(TcpCounters { rx_queue: 8, ..both }, 493, 300);
            }
        }
    }

    #[test]
    fn unread_data_is_not_counted() {
        check(TcpCounters { rx_queue: 120, ..open(true) }, 380, 300);
    }

    #[test]
    fn unacknowledged_and_unsent_data_is_counted() {
        for active in [true, false] {
            let pending = TcpCounters {
                bytes_acked: 100 + u64::from(active),
                bytes_sent: Some(180),
                notsent_bytes: 120,
                tx_queue: 200,
                ..open(active)
            };
            check(pending, 500, 300);
        }
    }

    #[test]
    fn retransmitted_bytes_count_once() {
        check(TcpCounters { bytes_sent: Some(390), bytes_retrans: Some(90), ..open(true) }, 500, 300);
    }

    #[test]
    fn segment_dropped_by_this_host_counts_once() {
        // `bytes_sent` has the segment three times, and the 100 bytes are still unsent.
        let dropped = TcpCounters {
            bytes_acked: 200,
            bytes_sent: Some(200 + 3 * 100),
            notsent_bytes: 100,
            tx_queue: 100,
            ..open(false)
        };
        check(dropped, 500, 300);
    }

    #[test]
    fn without_bytes_sent_syn_counts_on_connecting_side() {
        check(TcpCounters { bytes_sent: None, bytes_retrans: None, ..open(false) }, 500, 300);
        check(TcpCounters { bytes_sent: None, bytes_retrans: None, ..open(true) }, 500, 301);
    }
}
