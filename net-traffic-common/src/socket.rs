//! A socket: its counters in the kernel, and its record for user space.

use crate::{ProcessKey, plain};

pub const FAMILY_INET: u16 = 2;
pub const FAMILY_INET6: u16 = 10;
/// Sockets of this family write frames to an interface.
pub const FAMILY_PACKET: u16 = 17;
pub const PROTOCOL_TCP: u16 = 6;
pub const PROTOCOL_MPTCP: u16 = 262;

/// A bit of [`SocketCounters::flags`]: the TCP stack counts the socket's bytes.
pub const KERNEL_COUNTS: u32 = 1;
/// The application has closed its side, so `tx_bytes` is final. The FIN uses a sequence number but is not payload.
pub const TX_FINAL: u32 = 2;
/// A bit of [`SocketRecord::flags`] only: the socket was destroyed.
pub const CLOSED: u32 = 4;

plain! {
    /// The counters of a socket.
    ///
    /// TCP has 64-bit counters of the bytes on the wire and 32-bit sequence numbers of the application's bytes. The
    /// total is the difference between a sequence number and its base. The 64-bit counter shows how often that number
    /// wrapped ([`extend`]). So no TCP hook adds up bytes, and a missed hook loses none. For all other protocols, the
    /// hooks add the return values of the calls.
    pub struct SocketCounters: 152 {
        /// The process that first sent or received, or that held a descriptor at the baseline; 0 until known.
        pub owner: ProcessKey,
        /// In the same cache line as the owner and the sums, so that a call accesses one line only.
        pub flags: u32,
        pub netns: u32,
        /// Payload since the programs were attached. TCP: up to the last change of state.
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        /// The part of `rx_bytes` and `tx_bytes` that is already in the rows of processes.
        pub rx_posted: u64,
        pub tx_posted: u64,
        /// TCP: the values of `bytes_received` and `bytes_acked` (64-bit) at which the total is 0.
        pub rx_base: u64,
        pub tx_base: u64,
        /// TCP: payload from before the programs were attached.
        pub rx_before: u64,
        pub tx_before: u64,
        /// The monotonic time of the connection's establishment; 0 if the connection is older than the hooks.
        pub opened_ns: u64,
        pub cookie: u64,
        /// TCP: the values of `copied_seq` and `write_seq` (32-bit) at which the total is 0.
        pub rx_base_seq: u32,
        pub tx_base_seq: u32,
        /// TCP: `copied_seq` at the last run of the hook under the socket's lock. Unused if there is no such hook.
        pub rx_seen_seq: u32,
        pub ifindex: u32,
        /// A copy of the tuple, because the kernel clears the port of a destroyed socket.
        pub local_address: [u8; 16],
        pub remote_address: [u8; 16],
        pub local_port: u16,
        pub remote_port: u16,
        pub family: u16,
        pub protocol: u16,
    }
}

plain! {
    /// A socket's record, written by a socket walk and when the socket is destroyed.
    pub struct SocketRecord: 152 {
        pub cookie: u64,
        pub owner: ProcessKey,
        pub rx_bytes: u64,
        pub tx_bytes: u64,
        pub rx_before: u64,
        pub tx_before: u64,
        pub opened_ns: u64,
        pub retransmitted_bytes: u64,
        /// In network order, an IPv4 address in the first four octets.
        pub local_address: [u8; 16],
        pub remote_address: [u8; 16],
        /// In host order.
        pub local_port: u16,
        pub remote_port: u16,
        pub family: u16,
        pub protocol: u16,
        pub netns: u32,
        pub ifindex: u32,
        /// Eight times the smoothed round-trip time in microseconds ([`srtt_us`][srtt]); 0 if unknown.
        ///
        /// [srtt]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/tcp.h#L294
        pub srtt_us_8: u32,
        /// Four times the mean deviation of the round-trip time, in microseconds.
        pub mdev_us_4: u32,
        pub retransmits: u32,
        pub cwnd: u32,
        pub mss: u32,
        pub rx_queue: u32,
        pub tx_queue: u32,
        /// The kernel's number of the TCP state, such as 1 for `TCP_ESTABLISHED`.
        pub state: u32,
        pub flags: u32,
        pub reserved: u32,
    }
}

/// Of all totals whose lower 32 bits are `low`, the one nearest to `approximate`.
///
/// `low` is exact but wraps. `approximate` does not wrap, but differs by the bytes in the socket's queues, always less
/// than 2 GiB. A total below zero becomes zero.
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
    fn extend_takes_the_nearest_total() {
        let wrap = 1_u64 << 32;
        assert_eq!(extend(0, 0), 0);
        assert_eq!(extend(100, 90), 90);
        assert_eq!(extend(100, 110), 110);
        assert_eq!(extend(wrap - 5, 3), wrap + 3);
        assert_eq!(extend(wrap + 3, u32::MAX - 4), wrap - 5);
        assert_eq!(extend(7 * wrap + 1_000_000, 999_999), 7 * wrap + 999_999);
    }

    #[test]
    fn extend_below_zero_is_zero() {
        assert_eq!(extend(0, u32::MAX), 0);
        assert_eq!(extend(1, u32::MAX), 0);
    }
}
