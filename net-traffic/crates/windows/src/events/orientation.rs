//! Determines the local endpoint of an event. The meaning of source and destination differs between events.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{Entry, Tally};
use net_traffic_snapshot::{Endpoint, Protocol};

/// The endpoints of the table rows.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// The PIDs of TCP connections by local and remote endpoint.
    connections: HashMap<(Endpoint, Endpoint), u32>,
    /// Addresses and PIDs of UDP sockets by port.
    udp_sockets: HashMap<u16, Vec<(IpAddr, u32)>>,
    /// The local addresses.
    addresses: HashSet<IpAddr>,
}

/// The local endpoint, then the remote one.
pub(super) type Endpoints = (Endpoint, Endpoint);

impl Tables {
    pub(super) fn new<'e>(entries: impl Iterator<Item = &'e Entry>, addresses: &[IpAddr]) -> Self {
        let mut tables = Self { addresses: addresses.iter().copied().collect(), ..Self::default() };
        for entry in entries {
            match (entry.protocol, entry.remote) {
                (Protocol::Tcp, Some(remote)) => {
                    tables.connections.insert((entry.local, remote), entry.pid);
                }
                (Protocol::Udp, _) => {
                    let sockets = tables.udp_sockets.entry(entry.local.port).or_default();
                    sockets.push((entry.local.address, entry.pid));
                }
                _ => {}
            }
        }
        tables
    }

    /// Orients a tally by the tables, else by the local addresses. Without either, the source is local, except for
    /// received datagrams.
    pub(super) fn orient(&self, tally: &Tally) -> Endpoints {
        let unchanged = (tally.source, tally.destination);
        let swapped = (tally.destination, tally.source);
        let level = |endpoints: Endpoints| self.match_level(tally.protocol, endpoints, tally.pid);
        let (first, second) = (level(unchanged), level(swapped));
        if first != second {
            return if first > second { unchanged } else { swapped };
        }
        let is_local = |end: Endpoint| self.addresses.contains(&end.address);
        match (is_local(tally.source), is_local(tally.destination)) {
            (true, false) => unchanged,
            (false, true) => swapped,
            _ if tally.protocol == Protocol::Udp && tally.received => swapped,
            _ => unchanged,
        }
    }

    /// The local endpoint of the UDP row that receives datagrams for `local`.
    pub(super) fn udp_row(&self, local: Endpoint, pid: u32) -> Option<Endpoint> {
        let sockets = self.udp_sockets.get(&local.port)?;
        let of_process = |is_it: &dyn Fn(IpAddr) -> bool| {
            sockets.iter().find(|(address, owner)| *owner == pid && is_it(*address))
        };
        let is_family = |address: IpAddr| address.is_ipv4() == local.address.is_ipv4();
        // A dual-stack socket has an IPv6 row and also receives IPv4 datagrams.
        let (address, _) = of_process(&|address| address == local.address)
            .or_else(|| of_process(&|address| address.is_unspecified() && is_family(address)))
            .or_else(|| of_process(&|address| address.is_unspecified()))?;
        Some(Endpoint { address: *address, port: local.port })
    }

    fn match_level(&self, protocol: Protocol, (local, remote): Endpoints, pid: u32) -> MatchLevel {
        if protocol == Protocol::Udp {
            // A wildcard row matches local addresses only.
            let is_here = self.addresses.is_empty() || self.addresses.contains(&local.address);
            let is_owned = is_here && self.udp_row(local, pid).is_some();
            return if is_owned { MatchLevel::Owned } else { MatchLevel::None };
        }
        match self.connections.get(&(local, remote)) {
            Some(owner) if *owner == pid => MatchLevel::Owned,
            Some(_) => MatchLevel::Listed,
            None => MatchLevel::None,
        }
    }
}

/// How well a socket matches the tables, in ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum MatchLevel {
    None,
    /// The row has another PID, or 0.
    Listed,
    /// The row has the same PID.
    Owned,
}
