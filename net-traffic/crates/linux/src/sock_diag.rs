//! Lists every internet socket with its state, queues and TCP counters, from `sock_diag` dumps
//! (<https://man7.org/linux/man-pages/man7/sock_diag.7.html>).
//!
//! A dump needs no privilege. `procfs` finds the owner of a socket by the inode. Two kinds of sockets are not listed:
//! ping sockets (`SOCK_DGRAM` of `IPPROTO_ICMP`), for which the kernel has no dump, and packet sockets, whose dump has
//! another format.

mod handshakes;
pub mod lifetime;
mod message;
mod request;

use std::cell::Cell;
use std::io;

use foldhash::{HashMap, HashMapExt};
use nix::sys::socket::SockProtocol;

use self::handshakes::MptcpHandshakes;
use self::request::{Request, requests};
use super::netlink::Netlink;
use super::netns::NetNs;
use super::rights::{self, Capability};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Protocol, Snapshot, Socket, SocketId, State, Status, TcpInfo};

/// Lists the sockets of one network namespace.
pub struct SockDiag {
    netlink: Netlink,
    netns: u32,
    queries: Vec<SocketQuery>,
    refused: Vec<Protocol>,
    mptcp: MptcpHandshakes,
    /// The last dump had a TCP socket with an upper-layer protocol, which may be MPTCP.
    has_ulp: bool,
    /// The dump shows upper-layer protocols. Before Linux 6.15 that takes `CAP_NET_ADMIN`
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/tcp_diag.c#L132>).
    shows_ulp: bool,
    /// Every query has been sent once, so that `refused` is complete.
    dumped_once: bool,
    /// The index of each cookie's socket in one snapshot. A field only to reuse the memory.
    seen: HashMap<SocketId, usize>,
}

/// Selects the sockets of one protocol in a set of states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketQuery {
    pub protocol: Protocol,
    pub states: States,
}

impl SocketQuery {
    /// Every socket that the kernel can list.
    pub const ALL: &[Self] = &[
        Self { protocol: Protocol::Tcp, states: States::ALL },
        Self { protocol: Protocol::Udp, states: States::ALL },
        Self { protocol: Protocol::Mptcp, states: States::ALL },
        Self { protocol: Protocol::Sctp, states: States::ALL },
        Self { protocol: Protocol::Raw, states: States::ALL },
    ];
}

/// A set of states, as `idiag_states` encodes it: one bit per state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(u32);

impl States {
    /// All states but `TCP_BOUND_INACTIVE`: such a socket is bound, and neither connected nor listening
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/include/net/tcp_states.h#L25>).
    pub const ALL: Self = Self(0xfff << 1);

    #[must_use]
    pub fn of(states: &[State]) -> Self {
        Self(states.iter().fold(0, |mask, state| mask | Self::bits(*state)))
    }

    #[must_use]
    pub fn without(self, states: &[State]) -> Self {
        Self(self.0 & !Self::of(states).0)
    }

    const fn has(self, states: Self) -> bool {
        self.0 & states.0 == states.0
    }

    /// The `TCPF_*` bits of a state (<https://github.com/gregkh/linux/blob/v6.12.117/include/net/tcp_states.h#L35>).
    /// A connection request is in `TCP_NEW_SYN_RECV` until the handshake completes.
    const fn bits(state: State) -> u32 {
        match state {
            State::Established => 1 << 1,
            State::SynSent => 1 << 2,
            State::SynReceived => 1 << 3 | 1 << 12,
            State::FinWait1 => 1 << 4,
            State::FinWait2 => 1 << 5,
            State::TimeWait => 1 << 6,
            State::Closed => 1 << 7,
            State::CloseWait => 1 << 8,
            State::LastAck => 1 << 9,
            State::Listen => 1 << 10,
            State::Closing => 1 << 11,
        }
    }
}

const NAME: &str = "sock_diag";

impl SockDiag {
    /// Opens the netlink socket in `netns`.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the kernel refuses the socket.
    pub fn new(netns: &NetNs, queries: &[SocketQuery]) -> io::Result<Self> {
        let netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkSockDiag))??;
        Ok(Self {
            netlink,
            netns: netns.inode(),
            queries: queries.to_vec(),
            refused: Vec::new(),
            mptcp: MptcpHandshakes::open(netns),
            has_ulp: false,
            shows_ulp: rights::effective().is_ok_and(|have| have.has(Capability::NetAdmin)),
            dumped_once: false,
            seen: HashMap::new(),
        })
    }

    /// Sends every query. A protocol without a dump is not queried again.
    fn dump_all(&mut self, snapshot: &mut Snapshot) -> io::Result<()> {
        self.has_ulp = false;
        let mut at = 0;
        while let Some(query) = self.queries.get(at).copied() {
            if self.dumped_once && self.has_none(query) {
                at += 1;
                continue;
            }
            match self.dump(query, snapshot) {
                Ok(()) => at += 1,
                Err(refusal) if is_missing(&refusal) => {
                    self.queries.remove(at);
                    self.refused.push(query.protocol);
                }
                Err(error) => return Err(error),
            }
        }
        self.dumped_once = true;
        Ok(())
    }

    /// Whether no socket can match the query. That is known for MPTCP only: a connection was counted as a handshake,
    /// and a listener has a listening TCP subflow, which the TCP query has listed before.
    fn has_none(&mut self, query: SocketQuery) -> bool {
        let listening = States::of(&[State::Listen]);
        let lists_subflows =
            self.queries.iter().any(|other| other.protocol == Protocol::Tcp && other.states.has(listening));
        let no_listener = lists_subflows && self.shows_ulp && !self.has_ulp || !query.states.has(listening);
        query.protocol == Protocol::Mptcp && no_listener && !self.mptcp.may_have_been()
    }

    fn dump(&mut self, query: SocketQuery, snapshot: &mut Snapshot) -> io::Result<()> {
        let Self { netlink, netns, .. } = self;
        let has_ulp = Cell::new(self.has_ulp);
        for Request { kind, body } in requests(query) {
            netlink.dump(kind, &body, &mut snapshot.sockets, |answer| {
                if query.protocol == Protocol::Tcp && !has_ulp.get() {
                    has_ulp.set(message::has_ulp(answer));
                }
                message::socket(answer, query.protocol, Some(*netns))
            })?;
        }
        self.has_ulp = has_ulp.get();
        Ok(())
    }

    /// Merges sockets with equal cookies. The hash table changes during a dump, so that the dump may contain a socket
    /// twice; an earlier collector may have added the socket, too. Associations of one SCTP socket share a cookie and
    /// are all kept.
    fn drop_repeated(&mut self, snapshot: &mut Snapshot) {
        self.seen.clear();
        let sockets = &mut snapshot.sockets;
        // In place, because a copy of a large table is slow.
        let mut kept = 0;
        for at in 0..sockets.len() {
            let Socket { id, protocol, .. } = sockets[at];
            let first = *self.seen.entry(id).or_insert(kept);
            if first == kept || protocol == Protocol::Sctp {
                sockets.swap(kept, at);
                kept += 1;
            } else {
                let (before, repeated) = sockets.split_at_mut(at);
                merge(&mut before[first], &repeated[0]);
            }
        }
        sockets.truncate(kept);
    }

    fn status(&self) -> Status {
        let names: Vec<_> = self.refused.iter().map(|protocol| name(*protocol)).collect();
        Status {
            slot: "sockets".to_owned(),
            tier: Some("polling".to_owned()),
            program: Some(NAME.to_owned()),
            covers: Some(
                "every socket that exists in the namespace at the time of the dump, with state and TCP counters"
                    .to_owned(),
            ),
            reason: (!names.is_empty()).then(|| format!("this kernel lists no {} sockets", names.join(", "))),
            remedy: (!names.is_empty()).then(|| {
                let modules: Vec<_> = names.iter().map(|name| format!("{name}_diag")).collect();
                format!("sudo modprobe -a {}", modules.join(" "))
            }),
        }
    }
}

impl Collector for SockDiag {
    fn name(&self) -> &'static str {
        NAME
    }

    /// Adds the sockets that are missing in the snapshot.
    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let dumped = self.dump_all(snapshot);
        self.drop_repeated(snapshot);
        snapshot.status.push(self.status());
        dumped.map_err(|cause| CollectError { collector: NAME, attempt: "list the sockets", cause })
    }
}

/// Fills in the fields of a socket that an earlier collector left empty.
fn merge(known: &mut Socket, dumped: &Socket) {
    known.uid = known.uid.or(dumped.uid);
    known.inode = known.inode.or(dumped.inode);
    if let (Some(known), Some(dumped)) = (&mut known.tcp, &dumped.tcp) {
        complete(known, dumped);
    }
}

/// Copies the fields that only a dump contains.
fn complete(known: &mut TcpInfo, dumped: &TcpInfo) {
    let TcpInfo { min_rtt_us, busy_us, rwnd_limited_us, sndbuf_limited_us, snd_wnd, snd_wscale, .. } =
        *dumped;
    *known = TcpInfo {
        min_rtt_us,
        busy_us,
        rwnd_limited_us,
        sndbuf_limited_us,
        snd_wnd,
        snd_wscale,
        ..known.clone()
    };
}

/// Whether the error means that the kernel has no dump for the protocol
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/inet_diag.c#L51>).
fn is_missing(refusal: &io::Error) -> bool {
    matches!(
        refusal.raw_os_error(),
        Some(libc::ENOENT | libc::EINVAL | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT)
    )
}

const fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Mptcp => "mptcp",
        Protocol::Sctp => "sctp",
        Protocol::Raw | Protocol::Icmp | Protocol::Icmpv6 => "raw",
        Protocol::Packet => "packet",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn state_mask_has_the_kernels_bits() {
        assert_eq!(States::ALL.0, 0x1ffe);
        assert_eq!(States::of(&[State::Established, State::Listen]).0, 0x402);
        assert_eq!(States::ALL.without(&[State::Established, State::SynReceived]).0, 0x0ff4);
    }

    #[test]
    fn only_unsupported_protocol_counts_as_missing() {
        assert!(is_missing(&io::Error::from_raw_os_error(libc::ENOENT)));
        assert!(!is_missing(&io::Error::from_raw_os_error(libc::ENOBUFS)));
        assert!(!is_missing(&io::ErrorKind::TimedOut.into()));
    }
}
