//! Creates the counters of a socket.
//!
//! Bytes of a process that does not own the socket are posted to the row of that process at once. All other bytes are
//! the owner's. A flush (by a socket walk, or when the socket is destroyed) posts them, so the owner's calls access no
//! second map.

use net_traffic_common::{FAMILY_INET, FAMILY_INET6, KERNEL_COUNTS, PROTOCOL_TCP, SocketCounters};

use super::{counters::Counters, storage, tcp};
use crate::kernel::{Memory, Sk, TcpSk};

/// Whether the socket is of an internet family.
#[inline(always)]
pub(crate) fn is_inet<M: Memory>(sk: Sk<M>) -> bool {
    matches!(sk.skc_family(), FAMILY_INET | FAMILY_INET6)
}

/// The counters of a socket. A socket without counters gets new ones.
///
/// A TCP socket without counters was created after the hooks were attached, because older sockets got theirs in the
/// baseline walk. So its total is that of its whole lifetime.
///
/// `None` if the family is no internet family, for an MPTCP subflow, and after a failed insertion (counted as a loss).
#[inline(always)]
pub(crate) fn counters_of<M: Memory>(sk: Sk<M>) -> Option<Counters> {
    storage::of_tier(sk).or_else(|| init_counters(sk))
}

/// Creates the counters of a socket that has none, and returns them as [`counters_of`] does. The function is not
/// inlined, so that the code that runs at each call fits into a few cache lines.
#[inline(never)]
pub(crate) fn init_counters<M: Memory>(sk: Sk<M>) -> Option<Counters> {
    let mut initial = SocketCounters::default();
    if !is_inet(sk) || !identify(sk, &mut initial) {
        return None;
    }
    if let Some(tp) = sk.tcp() {
        let (rx, tx) = tcp::lifetime(tp);
        tcp::rebase(tp, &mut initial, rx, tx);
    }
    storage::get_or_insert(sk, &initial)
}

/// Sets protocol, flags, cookie and tuple of `sk`, an internet socket. Returns false for an MPTCP subflow.
#[inline(always)]
pub(crate) fn identify<M: Memory>(sk: Sk<M>, counters: &mut SocketCounters) -> bool {
    counters.protocol = sk.sk_protocol();
    if counters.protocol == PROTOCOL_TCP {
        if sk.tcp().is_none_or(TcpSk::is_subflow) {
            return false;
        }
        counters.flags = KERNEL_COUNTS;
    }
    counters.cookie = sk.cookie();
    read_tuple(sk, counters);
    true
}

/// Copies the tuple, the interface and the namespace of the socket. The local port of a destroyed socket is 0
/// ([`inet_put_port`][put] clears it). In that case the earlier copy stays.
///
/// [put]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/inet_hashtables.c#L177-L192
#[inline(always)]
pub(crate) fn read_tuple<M: Memory>(sk: Sk<M>, counters: &mut SocketCounters) {
    let port = sk.skc_num();
    if port == 0 && counters.local_port != 0 {
        return;
    }
    counters.local_port = port;
    counters.family = sk.skc_family();
    counters.remote_port = u16::from_be(sk.skc_dport());
    counters.ifindex = sk.skc_bound_dev_if();
    counters.netns = sk.netns();
    if counters.family == FAMILY_INET {
        counters.local_address[..4].copy_from_slice(&sk.local_v4());
        counters.remote_address[..4].copy_from_slice(&sk.remote_v4());
    } else {
        counters.local_address = sk.local_v6();
        counters.remote_address = sk.remote_v6();
    }
}
