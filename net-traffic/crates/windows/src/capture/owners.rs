//! Finds the process of a packet in the socket tables: the packet monitor reports no process.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::events::Entry;
use crate::events::ends::ends;
use crate::events::pktmon::Metadata;
use crate::ip_helper;
use crate::platform::descendants::NewProcess;
use crate::processes::Processes;
use net_traffic_snapshot::SocketFilter;
use net_traffic_snapshot::{Endpoint, ProcessId, Protocol};
use pcap_io::{Direction, Process};

/// The minimum age of the tables before an unknown packet refreshes them.
const REFRESH_NS: u64 = 200_000_000;
/// The maximum age of the tables: endpoints are reused.
const STALE_NS: u64 = 1_000_000_000;

/// PIDs by protocol, local and remote endpoint. UDP sockets and listeners have no remote endpoint. `None` if several
/// processes share the endpoints.
type Sockets = HashMap<(Protocol, Endpoint, Option<Endpoint>), Option<u32>>;

#[derive(Debug, Default)]
pub(super) struct PacketOwners {
    sockets: Sockets,
    read_ns: u64,
    processes: Processes,
    reported: HashMap<ProcessId, Arc<Process>>,
}

impl PacketOwners {
    /// The process that sends or receives the packet.
    pub(super) fn find(&mut self, metadata: &Metadata, packet: &[u8], now_ns: u64) -> Option<ProcessId> {
        let (protocol, source, destination) = ends(metadata.kind, packet)?;
        let (local, remote) = match metadata.direction? {
            Direction::Out => (source, destination),
            Direction::In => (destination, source),
        };
        let mut pid = self.pid_of(protocol, local, remote);
        let age_ns = now_ns.saturating_sub(self.read_ns);
        if age_ns >= STALE_NS || (pid.is_none() && age_ns >= REFRESH_NS) {
            self.refresh(now_ns);
            pid = self.pid_of(protocol, local, remote);
        }
        // A packet without a connection belongs to the listener.
        let id = self.processes.current_id(pid.or_else(|| self.listener(protocol, local))?);
        if !self.reported.contains_key(&id) {
            let process = self.processes.get(id)?;
            let process = Process {
                pid: id.pid,
                name: process.name.clone(),
                command: process.command.clone(),
                container: None,
                thread: None,
            };
            self.reported.insert(id, Arc::new(process));
        }
        Some(id)
    }

    /// Adds processes with open handles, which are found even after they have ended.
    pub(super) fn insert_new(&mut self, processes: Vec<NewProcess>) {
        for process in processes {
            self.processes.insert_new(process);
        }
    }

    pub(super) fn get(&self, id: ProcessId) -> Option<&Arc<Process>> {
        self.reported.get(&id)
    }

    fn pid_of(&self, protocol: Protocol, local: Endpoint, remote: Endpoint) -> Option<u32> {
        if protocol == Protocol::Tcp {
            return self.sockets.get(&(protocol, local, Some(remote))).copied().flatten();
        }
        self.listener(protocol, local)
    }

    /// The PID of the socket without a remote endpoint. An exact address has precedence over a wildcard.
    fn listener(&self, protocol: Protocol, local: Endpoint) -> Option<u32> {
        let anywhere = Endpoint { address: unspecified(local), port: local.port };
        let both = Endpoint { address: std::net::Ipv6Addr::UNSPECIFIED.into(), port: local.port };
        let row = |end: &Endpoint| self.sockets.get(&(protocol, *end, None));
        [local, anywhere, both].iter().find_map(row).copied().flatten()
    }

    /// Reads the tables. After a failure the old ones stay.
    fn refresh(&mut self, now_ns: u64) {
        self.read_ns = now_ns;
        self.processes.begin_snapshot();
        // Drops ended processes and their handles.
        let _reported = self.processes.report(&HashSet::new(), None);
        let Self { processes, reported, .. } = self;
        reported.retain(|id, _| processes.get(*id).is_some());
        if let Ok(entries) = ip_helper::read(SocketFilter::default()) {
            self.sockets = sockets(&entries);
        }
    }
}

fn sockets(entries: &[Entry]) -> Sockets {
    let mut sockets = Sockets::new();
    for Entry { protocol, local, remote, pid, .. } in entries.iter().filter(|entry| entry.pid != 0) {
        let owner = sockets.entry((*protocol, *local, *remote)).or_insert(Some(*pid));
        *owner = owner.filter(|other| other == pid);
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
    use crate::events::ends::PacketType;
    use crate::test_process;

    #[test]
    fn reused_port_gets_its_owner_within_a_second() {
        /// The PID of an ended process.
        const FORMER: u32 = 4_000_000;
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        // Wine reports the owner only after the socket has sent.
        socket.send_to(b"x", socket.local_addr().unwrap()).unwrap();
        let port = socket.local_addr().unwrap().port();
        let local = Endpoint { address: std::net::Ipv4Addr::LOCALHOST.into(), port };
        let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1];
        packet.extend([port.to_be_bytes(), [0, 9]].concat());
        packet.extend([0, 8, 0, 0]);
        let metadata = Metadata {
            direction: Some(Direction::Out),
            kind: PacketType::Ip,
            component: 1,
            edge: 1,
            drop_reason: 0,
            time: 0,
            length: 28,
        };
        let read_ns = 10 * STALE_NS;
        let sockets = HashMap::from([((Protocol::Udp, local, None), Some(FORMER))]);
        let mut owners = PacketOwners { sockets, read_ns, ..PacketOwners::default() };
        let mut of = |now_ns| owners.find(&metadata, &packet, now_ns).map(|id| id.pid);
        assert_eq!(of(read_ns + STALE_NS - 1), Some(FORMER));
        assert_eq!(of(read_ns + STALE_NS), Some(std::process::id()));
    }

    #[test]
    fn endpoint_of_several_processes_has_no_owner() {
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
        let owners = PacketOwners { sockets: sockets(&entries), ..PacketOwners::default() };
        let of = |protocol, local, port| owners.pid_of(protocol, local, end(there, port));
        assert_eq!(of(Udp, end([224, 0, 0, 251], 5353), 5353), None);
        assert_eq!(of(Udp, end(here, 5353), 5353), Some(9));
        assert_eq!(of(Udp, end(here, 53), 1), Some(7));
        // Without a row of the connection, or with PID 0, the listener is the owner.
        assert_eq!(of(Tcp, end(here, 80), 4000), Some(6));
        for port in [4001, 4002] {
            assert_eq!(of(Tcp, end(here, 80), port), None);
        }
        assert_eq!(owners.listener(Tcp, end(here, 80)), Some(5));
        assert_eq!(owners.listener(Tcp, end(here, 81)), None);
    }

    #[test]
    fn ended_process_is_dropped() {
        let mut child = test_process::brief();
        let mut owners = PacketOwners::default();
        let id = owners.processes.current_id(child.id());
        assert!(owners.processes.get(id).is_some());
        owners.reported.insert(id, Arc::default());
        owners.refresh(1);
        assert!(owners.get(id).is_some());
        child.wait().unwrap();
        owners.refresh(2);
        assert!(owners.processes.get(id).is_none() && owners.get(id).is_none());
    }
}
