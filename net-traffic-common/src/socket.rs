//! A socket: the counters that live with it in the kernel, and the record of it that user space reads.

use crate::{ProcessKey, plain};

pub const FAMILY_INET: u16 = 2;
pub const FAMILY_INET6: u16 = 10;
/// Its sockets write frames to an interface.
pub const FAMILY_PACKET: u16 = 17;
pub const PROTOCOL_TCP: u16 = 6;
pub const PROTOCOL_MPTCP: u16 = 262;

/// The TCP stack counts this socket's bytes itself: a bit of [`SocketCounters::flags`].
pub const KERNEL_COUNTS: u32 = 1;
/// The application can send no more, `tx_bytes` is final (and a FIN that is queued later is no payload).
pub const TX_FINAL: u32 = 2;
/// The socket was destroyed: a bit of [`SocketRecord::flags`] only.
pub const CLOSED: u32 = 4;

plain! {
    /// What is kept per socket, in the socket's own storage.
    ///
    /// TCP keeps 64-bit counters of what crossed the wire and 32-bit sequence numbers of what the application moved.
    /// The total is the sequence number's distance from a base, with the 64-bit counter to tell how often it wrapped
    /// ([`extend`]). So no byte is counted on the hot path, and no event that is missed loses one. For every other
    /// protocol the hooks add up what the calls returned.
    pub struct SocketCounters: 152 {
        /// The process that first sent or received on it, or held it when we came; 0 until known.
        pub owner: ProcessKey,
        /// With the owner and the amounts in one line of the processor's cache: all that a call needs.
        pub flags: u32,
        pub netns: u32,
        /// Payload since the programs were attached. For TCP: as it was last settled.
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        /// The part of the above that is already in the row of some process.
        pub rx_posted: u64,
        pub tx_posted: u64,
        /// TCP: the 64-bit counters (`bytes_received`, `bytes_acked`) at the moment when the total was 0.
        pub rx_base: u64,
        pub tx_base: u64,
        /// TCP: payload that was moved before the programs were attached.
        pub rx_before: u64,
        pub tx_before: u64,
        /// When it was established, if that was seen, on the monotonic clock.
        pub opened_ns: u64,
        pub cookie: u64,
        /// TCP: the sequence numbers (`copied_seq`, `write_seq`) at the moment when the total was 0.
        pub rx_base_seq: u32,
        pub tx_base_seq: u32,
        /// TCP, where a hook runs under the socket's lock: `copied_seq` when it last ran.
        pub rx_seen_seq: u32,
        pub ifindex: u32,
        /// The tuple, for the time when only the storage can be read.
        pub local_address: [u8; 16],
        pub remote_address: [u8; 16],
        pub local_port: u16,
        pub remote_port: u16,
        pub family: u16,
        pub protocol: u16,
    }
}

plain! {
    /// A socket as user space reads it: from the iterator while it lives, from the ring once it was destroyed.
    pub struct SocketRecord: 152 {
        pub cookie: u64,
        pub owner: ProcessKey,
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        pub rx_before: u64,
        pub tx_before: u64,
        pub opened_ns: u64,
        pub retransmitted_bytes: u64,
        /// IPv4 in the first four octets; network order.
        pub local_address: [u8; 16],
        pub remote_address: [u8; 16],
        /// Ports in host order.
        pub local_port: u16,
        pub remote_port: u16,
        pub family: u16,
        pub protocol: u16,
        pub netns: u32,
        pub ifindex: u32,
        /// Eight times the smoothed round-trip time, as the kernel keeps it; 0 when unknown.
        pub srtt_us_8: u32,
        /// Four times the mean deviation.
        pub mdev_us_4: u32,
        pub retransmits: u32,
        pub cwnd: u32,
        pub mss: u32,
        pub rx_queue: u32,
        pub tx_queue: u32,
        /// The kernel's number of the TCP state.
        pub state: u32,
        pub flags: u32,
        pub reserved: u32,
    }
}

/// The total whose lower 32 bits are `low` and that is nearest to `approximate`.
///
/// `low` is exact but wraps; `approximate` does not wrap but may be off by what is under way, always less than
/// 2 GiB. A total that would lie below zero is zero.
#[must_use]
#[inline(always)]
#[expect(clippy::inline_always, reason = "the kernel side cannot call it")]
pub const fn extend(approximate: u64, low: u32) -> u64 {
    #[expect(clippy::cast_possible_truncation, reason = "arithmetic modulo 2^32")]
    let difference = low.wrapping_sub(approximate as u32).cast_signed();
    let total = approximate.cast_signed().wrapping_add(difference as i64);
    if total < 0 { 0 } else { total.cast_unsigned() }
}

#[cfg(test)]
mod tests {
    use super::extend;

    #[test]
    fn the_low_half_decides_and_the_approximation_counts_the_wraps() {
        let wrap = 1_u64 << 32;
        assert_eq!(extend(0, 0), 0);
        assert_eq!(extend(100, 90), 90);
        assert_eq!(extend(100, 110), 110);
        assert_eq!(extend(wrap - 5, 3), wrap + 3);
        assert_eq!(extend(wrap + 3, u32::MAX - 4), wrap - 5);
        assert_eq!(extend(7 * wrap + 1_000_000, 999_999), 7 * wrap + 999_999);
    }

    #[test]
    fn a_total_is_never_below_zero() {
        assert_eq!(extend(0, u32::MAX), 0);
        assert_eq!(extend(1, u32::MAX), 0);
    }
}
