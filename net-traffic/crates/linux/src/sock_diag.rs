//! Every internet socket with its state, queues and TCP counters, from the kernel's `sock_diag` netlink dump.
//!
//! Needs no rights. Owners are found by `procfs`, from the inode. Sockets of `IPPROTO_ICMP` that were opened
//! without raw rights (ping) have no dump in any kernel, and packet sockets have another one: neither is listed.

mod handshakes;
pub mod lifetime;
mod message;
mod request;

use std::cell::Cell;
use std::io;

use foldhash::{HashMap, HashMapExt};
use nix::sys::socket::SockProtocol;

use self::handshakes::Handshakes;
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
    wanted: Vec<Wanted>,
    refused: Vec<Protocol>,
    mptcp: Handshakes,
    /// There is a TCP socket below another one, which may be of MPTCP.
    layered: bool,
    /// Whether the kernel tells which those are: before Linux 6.15 the administrator of the network only.
    tells_layers: bool,
    /// The kernel has been asked for everything once, so that it is known what it does not list.
    asked: bool,
    /// Where the socket of each cookie is in one snapshot; kept for its memory only.
    seen: HashMap<SocketId, usize>,
}

/// The sockets of one protocol that are in one of these states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub protocol: Protocol,
    pub states: States,
}

impl Wanted {
    /// Every socket that the kernel can list.
    pub const ALL: &[Self] = &[
        Self { protocol: Protocol::Tcp, states: States::ALL },
        Self { protocol: Protocol::Udp, states: States::ALL },
        Self { protocol: Protocol::Mptcp, states: States::ALL },
        Self { protocol: Protocol::Sctp, states: States::ALL },
        Self { protocol: Protocol::Raw, states: States::ALL },
    ];
}

/// A set of states, as the mask that the kernel filters by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct States(u32);

impl States {
    /// All but the pseudo-state of sockets that are bound and nothing else, which hold no traffic.
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

    /// The bit of `tcp_states.h`; a connection request that waits for its handshake has a second one.
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
    /// Opens the netlink socket within `netns`, where it stays.
    ///
    /// # Errors
    /// When the namespace cannot be entered or the kernel refuses the socket.
    pub fn new(netns: &NetNs, wanted: &[Wanted]) -> io::Result<Self> {
        let netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkSockDiag))??;
        Ok(Self {
            netlink,
            netns: netns.inode(),
            wanted: wanted.to_vec(),
            refused: Vec::new(),
            mptcp: Handshakes::open(netns),
            layered: false,
            tells_layers: rights::effective().is_ok_and(|have| have.has(Capability::NetAdmin)),
            asked: false,
            seen: HashMap::new(),
        })
    }

    /// A protocol that the kernel does not list is not asked for again.
    fn dump_wanted(&mut self, snapshot: &mut Snapshot) -> io::Result<()> {
        self.layered = false;
        let mut at = 0;
        while let Some(wanted) = self.wanted.get(at).copied() {
            if self.asked && self.has_none(wanted) {
                at += 1;
                continue;
            }
            match self.dump(wanted, snapshot) {
                Ok(()) => at += 1,
                Err(refusal) if is_missing(&refusal) => {
                    self.wanted.remove(at);
                    self.refused.push(wanted.protocol);
                }
                Err(error) => return Err(error),
            }
        }
        self.asked = true;
        Ok(())
    }

    /// Whether there can be no such socket. One that listens has shaken no hands, but there is a TCP socket below it,
    /// which listens, too, and was listed before.
    fn has_none(&mut self, wanted: Wanted) -> bool {
        let listening = States::of(&[State::Listen]);
        let listed =
            self.wanted.iter().any(|other| other.protocol == Protocol::Tcp && other.states.has(listening));
        let is_told = listed && self.tells_layers && !self.layered || !wanted.states.has(listening);
        wanted.protocol == Protocol::Mptcp && is_told && !self.mptcp.may_have_been()
    }

    fn dump(&mut self, wanted: Wanted, snapshot: &mut Snapshot) -> io::Result<()> {
        let Self { netlink, netns, .. } = self;
        let layered = Cell::new(self.layered);
        for Request { kind, body } in requests(wanted) {
            netlink.dump(kind, &body, &mut snapshot.sockets, |answer| {
                if wanted.protocol == Protocol::Tcp && !layered.get() {
                    layered.set(message::is_below_another(answer));
                }
                message::socket(answer, wanted.protocol, Some(*netns))
            })?;
        }
        self.layered = layered.get();
        Ok(())
    }

    /// The kernel walks a table that changes meanwhile, so it may list a socket twice; and an earlier collector may
    /// have added it, which then gains what it did not know. Associations of one SCTP socket share its cookie and
    /// all stay.
    fn drop_repeated(&mut self, snapshot: &mut Snapshot) {
        self.seen.clear();
        let sockets = &mut snapshot.sockets;
        // In place: there may be many.
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
                "every socket of the namespace that exists when it is asked, with state and TCP counters"
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

    /// Adds the sockets that no earlier collector has added.
    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let dumped = self.dump_wanted(snapshot);
        self.drop_repeated(snapshot);
        snapshot.status.push(self.status());
        dumped.map_err(|cause| CollectError { collector: NAME, attempt: "list the sockets", cause })
    }
}

/// A socket gains what it did not know from the kernel's own report of it.
fn merge(known: &mut Socket, asked: &Socket) {
    known.uid = known.uid.or(asked.uid);
    known.inode = known.inode.or(asked.inode);
    if let (Some(known), Some(asked)) = (&mut known.tcp, &asked.tcp) {
        complete(known, asked);
    }
}

/// What only the kernel's own report has.
fn complete(known: &mut TcpInfo, asked: &TcpInfo) {
    let TcpInfo { min_rtt_us, busy_us, rwnd_limited_us, sndbuf_limited_us, snd_wnd, snd_wscale, .. } = *asked;
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

/// Whether the kernel has no dump for what was asked, rather than having failed.
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
    fn the_mask_of_states_is_the_kernels() {
        assert_eq!(States::ALL.0, 0x1ffe);
        assert_eq!(States::of(&[State::Established, State::Listen]).0, 0x402);
        assert_eq!(States::ALL.without(&[State::Established, State::SynReceived]).0, 0x0ff4);
    }

    #[test]
    fn only_a_missing_dump_is_forgiven() {
        assert!(is_missing(&io::Error::from_raw_os_error(libc::ENOENT)));
        assert!(!is_missing(&io::Error::from_raw_os_error(libc::ENOBUFS)));
        assert!(!is_missing(&io::ErrorKind::TimedOut.into()));
    }
}
