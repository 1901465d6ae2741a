//! How the rates of connections, containers and remote hosts were.

use std::collections::HashMap;
use std::net::IpAddr;

use super::connection::Connection;
use super::history::History;
use super::process::ProcessState;
use super::rate::Rates;
use super::traces::Traces;
use net_traffic_snapshot::SocketId;

/// A row that comes and goes, and whose history is kept only while it moves something.
#[derive(Clone, Copy, Debug)]
pub enum Row<'a> {
    Connection(SocketId),
    /// By id.
    Container(&'a str),
    Destination(IpAddr),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Histories {
    connections: Traces<SocketId>,
    containers: Traces<String>,
    destinations: Traces<IpAddr>,
}

impl Histories {
    /// Adds a snapshot: the connections that move something, and all processes. Keeps at most so many of each kind.
    pub(crate) fn advance<'m>(
        &mut self,
        moving: impl Iterator<Item = &'m Connection>,
        processes: impl Iterator<Item = &'m ProcessState>,
        keep: usize,
    ) {
        let mut connections: Vec<(SocketId, Rates)> = Vec::new();
        let mut destinations: HashMap<IpAddr, Rates> = HashMap::new();
        for Connection { socket, rates, .. } in moving {
            connections.push((socket.id, *rates));
            if let Some(remote) = socket.remote {
                destinations.entry(remote.address.to_canonical()).or_default().add(*rates);
            }
        }
        let mut containers: HashMap<&str, Rates> = HashMap::new();
        for state in processes {
            if let Some(id) = &state.process.container {
                containers.entry(id).or_default().add(state.rates);
            }
        }
        self.connections.advance(connections.into_iter(), keep);
        self.destinations.advance(destinations.into_iter(), keep);
        self.containers.advance(containers.into_iter().map(|(id, rates)| (id.to_owned(), rates)), keep);
    }

    pub(crate) fn get(&self, of: Row<'_>) -> Option<History> {
        match of {
            Row::Connection(id) => self.connections.get(&id),
            Row::Container(id) => self.containers.get(&id.to_owned()),
            Row::Destination(address) => self.destinations.get(&address),
        }
    }
}
