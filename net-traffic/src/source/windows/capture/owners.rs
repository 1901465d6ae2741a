//! Whose a packet is: the packet monitor does not say, the tables of sockets do.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::packet::{Direction, Process};
use crate::snapshot::{Endpoint, ProcessId, Protocol};
use crate::source::Wanted;
use crate::source::etw::ends::ends;
use crate::source::etw::pktmon::Metadata;
use crate::source::windows::descendants::Newcomer;
use crate::source::windows::ip_helper;
use crate::source::windows::processes::Processes;

/// The tables are read again for a packet that they do not know, but not more often than this.
const REFRESH_NS: u64 = 200_000_000;
/// And for any packet when they are older than this: addresses are used again.
const STALE_NS: u64 = 1_000_000_000;

#[derive(Debug, Default)]
pub(super) struct Owners {
    /// By local and remote end; datagrams by their local end.
    sockets: HashMap<(Protocol, Endpoint, Option<Endpoint>), u32>,
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
        let id = self.processes.now(pid?);
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
            return self.sockets.get(&(protocol, local, Some(remote))).copied();
        }
        let anywhere = Endpoint { address: unspecified(local), port: local.port };
        let both = Endpoint { address: std::net::Ipv6Addr::UNSPECIFIED.into(), port: local.port };
        [local, anywhere, both].iter().find_map(|end| self.sockets.get(&(protocol, *end, None)).copied())
    }

    /// What cannot be read now may be the next time.
    fn refresh(&mut self, now_ns: u64) {
        self.read_ns = now_ns;
        self.processes.begin();
        // Nobody is told who has ended, but what is held of them is let go.
        let _told = self.processes.report(&HashSet::new(), None);
        if let Ok(entries) = ip_helper::read(Wanted::default()) {
            let owned = entries.iter().filter(|entry| entry.pid != 0);
            self.sockets =
                owned.map(|entry| ((entry.protocol, entry.local, entry.remote), entry.pid)).collect();
        }
    }
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
    use crate::source::etw::pktmon::Kind;
    use crate::source::windows::test_process;

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
        let sockets = HashMap::from([((Protocol::Udp, local, None), FORMER)]);
        let mut owners = Owners { sockets, read_ns, ..Owners::default() };
        let mut of = |now_ns| owners.of(&metadata, &packet, now_ns).map(|id| id.pid);
        assert_eq!(of(read_ns + STALE_NS - 1), Some(FORMER));
        assert_eq!(of(read_ns + STALE_NS), Some(std::process::id()));
    }

    #[test]
    fn nothing_is_held_of_a_process_that_has_ended() {
        let mut child = test_process::brief();
        let mut owners = Owners::default();
        let id = owners.processes.now(child.id());
        assert!(owners.processes.known(id).is_some());
        child.wait().unwrap();
        owners.refresh(1);
        assert!(owners.processes.known(id).is_none());
    }
}
