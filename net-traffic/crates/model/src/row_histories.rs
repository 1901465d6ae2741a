//! The rate histories of connections, containers and remote hosts.

use std::collections::HashMap;
use std::net::IpAddr;

use super::connection::Connection;
use super::history::RateHistory;
use super::process::ProcessState;
use super::rate::Rates;
use super::sparse_history::SparseHistory;
use net_traffic_snapshot::SocketId;

/// An item with a sparse rate history. Processes and interfaces keep their own [`RateHistory`].
#[derive(Clone, Copy, Debug)]
pub enum HistoryKey<'a> {
    Connection(SocketId),
    /// A container, by id.
    Container(&'a str),
    Destination(IpAddr),
}

#[derive(Clone, Debug, Default)]
pub(crate) struct RowHistories {
    connections: SparseHistory<SocketId>,
    containers: SparseHistory<String>,
    destinations: SparseHistory<IpAddr>,
}

impl RowHistories {
    /// Adds a snapshot: the connections with traffic, and all processes. Keeps at most `limit` histories of each kind.
    pub(crate) fn advance<'m>(
        &mut self,
        moving: impl Iterator<Item = &'m Connection>,
        processes: impl Iterator<Item = &'m ProcessState>,
        limit: usize,
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
        self.connections.advance(connections.into_iter(), limit);
        self.destinations.advance(destinations.into_iter(), limit);
        self.containers.advance(containers.into_iter().map(|(id, rates)| (id.to_owned(), rates)), limit);
    }

    pub(crate) fn get(&self, key: HistoryKey<'_>) -> Option<RateHistory> {
        match key {
            HistoryKey::Connection(id) => self.connections.get(&id),
            HistoryKey::Container(id) => self.containers.get(&id.to_owned()),
            HistoryKey::Destination(address) => self.destinations.get(&address),
        }
    }
}
