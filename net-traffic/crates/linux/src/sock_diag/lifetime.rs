//! The application's bytes of a TCP socket over its whole life, from the counters that the kernel reports.
//!
//! The kernel counts in sequence numbers, and SYN and FIN take one each. What is derived here is payload only.
//!
//! **tx** is the smaller of two sums. `bytes_acked + write queue` counts the FIN once it is queued, and on the
//! side that connected the SYN. `bytes_sent - bytes_retrans + unsent` has no SYN, but counts a segment twice that
//! this host dropped (a full queueing discipline, a firewall) before it was ever out. Each alone is exact where
//! the other is not; only where both fail, on a connecting side that dropped its own segments, tx is 1 too large
//! for the SYN. A kernel before 4.19 has no `bytes_sent`; the connecting side is 1 too large there.
//!
//! **rx** is what arrived in order less what waits to be read. Whether the FIN counts follows from the state and
//! from the read queue: the FIN is the last of the sequence, so while anything waits the FIN waits too.
//!
//! Exact to the byte for a socket at rest. The kernel reads the queues a moment before the counters, so of a
//! socket that moves data meanwhile tx is the amount at one moment in between, and rx may include what arrived
//! in between. An urgent byte counts as read when the reader passed it.

use net_traffic_snapshot::{Bytes, State};

/// What `inet_diag_msg` and `tcp_info` say of one socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpCounters {
    pub state: State,
    /// Sequence numbers that the peer acknowledged: payload, FIN, and the SYN of the side that connected.
    pub bytes_acked: u64,
    /// Sequence numbers that arrived in order: payload and FIN.
    pub bytes_received: u64,
    /// Payload handed to the network, with all repetitions (since Linux 4.19).
    pub bytes_sent: Option<u64>,
    /// The part of `bytes_sent` that was a repetition.
    pub bytes_retrans: Option<u64>,
    /// Sequence numbers that wait for their first transmission: payload, and FIN if that waits.
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
    // The FIN is the last of the sequence: if anything is unsent, the FIN is.
    let unsent = u64::from(counters.notsent_bytes).saturating_sub(fin);
    by_sequence.min(sent.saturating_sub(repeated) + unsent)
}

/// Whether the peer has said that it sends no more.
const fn fin_received(state: State) -> bool {
    matches!(state, State::CloseWait | State::LastAck | State::Closing | State::TimeWait)
}

/// Whether this side has said so; the FIN has its sequence number from then on, sent or not.
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
    fn open_on_either_side() {
        check(open(true), 500, 300);
        check(open(false), 500, 300);
    }

    #[test]
    fn a_new_connection_has_moved_nothing() {
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
    fn connecting_has_sent_nothing_though_the_syn_is_queued() {
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
    fn this_side_closed() {
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
    fn the_peer_closed() {
        for active in [true, false] {
            let read = TcpCounters { state: State::CloseWait, bytes_received: 501, ..open(active) };
            check(read, 500, 300);
            // The end of the stream was not read: it counts as one in the queue.
            check(TcpCounters { rx_queue: 1, ..read }, 500, 300);
            // Nor were the last 40 bytes.
            check(TcpCounters { rx_queue: 41, ..read }, 460, 300);
            // Nothing was read at all.
            check(TcpCounters { rx_queue: 501, ..read }, 0, 300);
        }
    }

    #[test]
    fn both_closed() {
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
    fn unread_data_is_not_received_yet() {
        check(TcpCounters { rx_queue: 120, ..open(true) }, 380, 300);
    }

    #[test]
    fn unacknowledged_and_unsent_data_is_sent() {
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
    fn repetitions_count_once() {
        check(TcpCounters { bytes_sent: Some(390), bytes_retrans: Some(90), ..open(true) }, 500, 300);
    }

    #[test]
    fn a_segment_that_this_host_dropped_counts_once() {
        // Counted as sent three times though it never left: 100 bytes are still unsent.
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
    fn without_bytes_sent_the_syn_of_the_connecting_side_remains() {
        check(TcpCounters { bytes_sent: None, bytes_retrans: None, ..open(false) }, 500, 300);
        check(TcpCounters { bytes_sent: None, bytes_retrans: None, ..open(true) }, 500, 301);
    }
}
