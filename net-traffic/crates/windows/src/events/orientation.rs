//! Which of an event's two addresses is this machine's: sources of events do not agree on that.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{Entry, Tally};
use net_traffic_snapshot::{Endpoint, Protocol};

/// What the tables know of addresses.
#[derive(Debug, Default)]
pub(super) struct Tables {
    /// TCP connections by local and remote end, with their owners.
    connections: HashMap<(Endpoint, Endpoint), u32>,
    /// UDP sockets by port, with their owners.
    datagrams: HashMap<u16, Vec<(IpAddr, u32)>>,
    /// The addresses of this machine.
    addresses: HashSet<IpAddr>,
}

/// The local end, then the remote one.
pub(super) type Ends = (Endpoint, Endpoint);

impl Tables {
    pub(super) fn new<'e>(entries: impl Iterator<Item = &'e Entry>, addresses: &[IpAddr]) -> Self {
        let mut tables = Self { addresses: addresses.iter().copied().collect(), ..Self::default() };
        for entry in entries {
            match (entry.protocol, entry.remote) {
                (Protocol::Tcp, Some(remote)) => {
                    tables.connections.insert((entry.local, remote), entry.pid);
                }
                (Protocol::Udp, _) => {
                    let sockets = tables.datagrams.entry(entry.local.port).or_default();
                    sockets.push((entry.local.address, entry.pid));
                }
                _ => {}
            }
        }
        tables
    }

    /// The local end and the remote one, by the tables, else by the machine's addresses, else by custom: the source
    /// is the local end, but for received datagrams.
    pub(super) fn orient(&self, tally: &Tally) -> Ends {
        let as_said = (tally.source, tally.destination);
        let turned = (tally.destination, tally.source);
        let known = |ends: Ends| self.owner(tally.protocol, ends, tally.pid);
        let (first, second) = (known(as_said), known(turned));
        if first != second {
            return if first > second { as_said } else { turned };
        }
        let is_local = |end: Endpoint| self.addresses.contains(&end.address);
        match (is_local(tally.source), is_local(tally.destination)) {
            (true, false) => as_said,
            (false, true) => turned,
            _ if tally.protocol == Protocol::Udp && tally.received => turned,
            _ => as_said,
        }
    }

    /// The address of the table's row that this local end of a datagram belongs to.
    pub(super) fn row_of(&self, local: Endpoint, pid: u32) -> Option<Endpoint> {
        let sockets = self.datagrams.get(&local.port)?;
        let of_process = |is_it: &dyn Fn(IpAddr) -> bool| {
            sockets.iter().find(|(address, owner)| *owner == pid && is_it(*address))
        };
        let is_family = |address: IpAddr| address.is_ipv4() == local.address.is_ipv4();
        // A row of both families is one of IPv6.
        let (address, _) = of_process(&|address| address == local.address)
            .or_else(|| of_process(&|address| address.is_unspecified() && is_family(address)))
            .or_else(|| of_process(&|address| address.is_unspecified()))?;
        Some(Endpoint { address: *address, port: local.port })
    }

    fn owner(&self, protocol: Protocol, (local, remote): Ends, pid: u32) -> Knowledge {
        if protocol == Protocol::Udp {
            // A row for any address says nothing of an address that is not this machine's.
            let is_here = self.addresses.is_empty() || self.addresses.contains(&local.address);
            let is_owned = is_here && self.row_of(local, pid).is_some();
            return if is_owned { Knowledge::Owned } else { Knowledge::None };
        }
        match self.connections.get(&(local, remote)) {
            Some(owner) if *owner == pid => Knowledge::Owned,
            Some(_) => Knowledge::Listed,
            None => Knowledge::None,
        }
    }
}

/// How well a table knows a socket; more is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Knowledge {
    None,
    /// Of another process, or of nobody any more.
    Listed,
    Owned,
}
