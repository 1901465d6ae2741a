//! Whose a packet is: the packet monitor does not say, the tables of sockets do.

use std::collections::HashMap;
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
        if pid.is_none() && now_ns.saturating_sub(self.read_ns) >= REFRESH_NS {
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
