//! Whose a packet is: the packet monitor does not say, the tables of sockets do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::descendants::Newcomer;
use crate::events::Entry;
use crate::events::ends::ends;
use crate::events::pktmon::Metadata;
use crate::ip_helper;
use crate::processes::Processes;
use net_traffic_snapshot::SocketFilter;
use net_traffic_snapshot::{Endpoint, ProcessId, Protocol};
use pcap_io::{Direction, Process};

/// The tables are read again for a packet that they do not know, but not more often than this.
const REFRESH_NS: u64 = 200_000_000;
/// And for any packet when they are older than this: addresses are used again.
const STALE_NS: u64 = 1_000_000_000;

/// By local and remote end; datagrams, and who waits for connections, by their local end. `None` where several processes
/// have the same: a packet does not say whose it is.
type Sockets = HashMap<(Protocol, Endpoint, Option<Endpoint>), Option<u32>>;

#[derive(Debug, Default)]
pub(super) struct Owners {
    sockets: Sockets,
    read_ns: u64,
    processes: Processes,
    known: HashMap<ProcessId, Arc<Process>>,
}

impl Owners {
    /// The process whose packet this is.
    pub(super) fn of(&mut self, metadata: &Metadata, packet: &[u8], now_ns: u64) -> Option<ProcessId> {
        let (protocol, source, destination) = ends(metadata.kind, packet)?;
        let (local, remote) = match metadata.direction? {
            Direction::Out => (source, destination),
            Direction::In => (destination, source),
        };
        let mut pid = self.find(protocol, local, remote);
        let age_ns = now_ns.saturating_sub(self.read_ns);
        if age_ns >= STALE_NS || (pid.is_none() && age_ns >= REFRESH_NS) {
            self.refresh(now_ns);
            pid = self.find(protocol, local, remote);
        }
        // What no connection has yet, or has no more, is of whoever waits for connections.
        let id = self.processes.now(pid.or_else(|| self.unconnected(protocol, local))?);
        if !self.known.contains_key(&id) {
            let process = self.processes.known(id)?;
            let process = Process {
                pid: id.pid,
                name: process.name.clone(),
                command: process.command.clone(),
                container: None,
                thread: None,
            };
            self.known.insert(id, Arc::new(process));
        }
        Some(id)
    }

    /// Processes that somebody held, so that they are known also if they have ended by now.
    pub(super) fn meet(&mut self, newcomers: Vec<Newcomer>) {
        for newcomer in newcomers {
            self.processes.adopt(newcomer);
        }
    }

    pub(super) fn get(&self, id: ProcessId) -> Option<&Arc<Process>> {
        self.known.get(&id)
    }

    fn find(&self, protocol: Protocol, local: Endpoint, remote: Endpoint) -> Option<u32> {
        if protocol == Protocol::Tcp {
            return self.sockets.get(&(protocol, local, Some(remote))).copied().flatten();
        }
        self.unconnected(protocol, local)
    }

    /// Who has this end without a peer: the nearest row decides.
    fn unconnected(&self, protocol: Protocol, local: Endpoint) -> Option<u32> {
        let anywhere = Endpoint { address: unspecified(local), port: local.port };
        let both = Endpoint { address: std::net::Ipv6Addr::UNSPECIFIED.into(), port: local.port };
        let row = |end: &Endpoint| self.sockets.get(&(protocol, *end, None));
        [local, anywhere, both].iter().find_map(row).copied().flatten()
    }

    /// What cannot be read now may be the next time.
    fn refresh(&mut self, now_ns: u64) {
        self.read_ns = now_ns;
        self.processes.begin();
        // Nobody is told who has ended, but what is held of them is let go.
        let _told = self.processes.report(&HashSet::new(), None);
        let Self { processes, known, .. } = self;
        known.retain(|id, _| processes.known(*id).is_some());
        if let Ok(entries) = ip_helper::read(SocketFilter::default()) {
            self.sockets = sockets(&entries);
        }
    }
}

fn sockets(entries: &[Entry]) -> Sockets {
    let mut sockets = Sockets::new();
    for Entry { protocol, local, remote, pid, .. } in entries.iter().filter(|entry| entry.pid != 0) {
        let owner = sockets.entry((*protocol, *local, *remote)).or_insert(Some(*pid));
        *owner = owner.filter(|known| known == pid);
    }
    sockets
}

fn unspecified(end: Endpoint) -> std::net::IpAddr {
    if end.address.is_ipv4() {
        std::net::Ipv4Addr::UNSPECIFIED.into()
    } else {
        std::net::Ipv6Addr::UNSPECIFIED.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::pktmon::Kind;
    use crate::test_process;

    #[test]
    fn a_port_that_is_used_again_gets_its_new_owner_within_a_second() {
        /// It was this process's, which is not there.
        const FORMER: u32 = 4_000_000;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Wine knows an owner once something was sent.
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let local = Endpoint { address: std::net::Ipv4Addr::LOCALHOST.into(), port };
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
        packet.extend([port.to_be_bytes(), [0, 9]].concat());
        packet.extend([0, 8, 0, 0]);
        let metadata = Metadata {
            direction: Some(Direction::Out),
            kind: Kind::Ip,
            component: 1,
            edge: 1,
            drop_reason: 0,
            time: 0,
            length: 28,
        };
        let read_ns = 10 * STALE_NS;
        let sockets = HashMap::from([((Protocol::Udp, local, None), Some(FORMER))]);
        let mut owners = Owners { sockets, read_ns, ..Owners::default() };
        let mut of = |now_ns| owners.of(&metadata, &packet, now_ns).map(|id| id.pid);
        assert_eq!(of(read_ns + STALE_NS - 1), Some(FORMER));
        assert_eq!(of(read_ns + STALE_NS), Some(std::process::id()));
    }

    #[test]
    fn of_several_processes_at_one_end_none_is_named() {
        use Protocol::{Tcp, Udp};
        let end = |address: [u8; 4], port| Endpoint { address: address.into(), port };
        let (any, here, there) = ([0; 4], [192, 0, 2, 1], [198, 51, 100, 7]);
        let row = |protocol, local, remote, pid| {
            let state = net_traffic_snapshot::State::Established;
            Entry { protocol, local, remote, state, pid, created: 0, scopes: [0; 2] }
        };
        let entries = [
            row(Udp, end(any, 5353), None, 7),
            row(Udp, end(any, 5353), None, 8),
            row(Udp, end(any, 5353), None, 7),
            row(Udp, end(any, 53), None, 7),
            row(Udp, end(any, 53), None, 7),
            row(Udp, end(here, 5353), None, 9),
            row(Tcp, end(any, 80), None, 5),
            row(Tcp, end(here, 80), Some(end(there, 4000)), 6),
            row(Tcp, end(here, 80), Some(end(there, 4001)), 0),
        ];
        let owners = Owners { sockets: sockets(&entries), ..Owners::default() };
        let of = |protocol, local, port| owners.find(protocol, local, end(there, port));
        assert_eq!(of(Udp, end([224, 0, 0, 251], 5353), 5353), None);
        assert_eq!(of(Udp, end(here, 5353), 5353), Some(9));
        assert_eq!(of(Udp, end(here, 53), 1), Some(7));
        // A connection is its owner's; one that nobody has yet, or any more, is of whoever waits for them.
        assert_eq!(of(Tcp, end(here, 80), 4000), Some(6));
        for port in [4001, 4002] {
            assert_eq!(of(Tcp, end(here, 80), port), None);
        }
        assert_eq!(owners.unconnected(Tcp, end(here, 80)), Some(5));
        assert_eq!(owners.unconnected(Tcp, end(here, 81)), None);
    }

    #[test]
    fn nothing_is_held_of_a_process_that_has_ended() {
        let mut child = test_process::brief();
        let mut owners = Owners::default();
        let id = owners.processes.now(child.id());
        assert!(owners.processes.known(id).is_some());
        owners.known.insert(id, Arc::default());
        owners.refresh(1);
        assert!(owners.get(id).is_some());
        child.wait().unwrap();
        owners.refresh(2);
        assert!(owners.processes.known(id).is_none() && owners.get(id).is_none());
    }
}
