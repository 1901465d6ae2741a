//! Interfaces across snapshots: current, average and highest rates. Also finds the interface that a socket uses.

use std::net::{IpAddr, Ipv4Addr};

use foldhash::{HashMap, HashMapExt};

use super::history::RateHistory;
use super::rate::{Rates, bits_per_second};
use net_traffic_snapshot::{Bytes, Interface, Socket};

/// An interface as of the last snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct InterfaceState {
    pub interface: Interface,
    pub rates: Rates,
    /// The average since its first snapshot, or since the last reset.
    pub average: Rates,
    /// The highest rate over the same time.
    pub most: Rates,
    pub history: RateHistory,
    first: Bytes,
    first_ns: u64,
    /// The time of its last counters.
    read_ns: u64,
}

/// The interfaces of the last snapshot, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interfaces {
    known: Vec<InterfaceState>,
    by_index: HashMap<(Option<u32>, u32), usize>,
    by_address: HashMap<(Option<u32>, IpAddr), usize>,
    /// For each other network namespace, the interfaces of this one that lead to it, oldest first: a bridge before
    /// its ports.
    via: HashMap<u32, Vec<String>>,
}

impl Interfaces {
    /// Applies the counters that were read at `read_ns`.
    pub(crate) fn advance(&mut self, interfaces: Vec<Interface>, read_ns: u64) {
        let mut before = std::mem::take(&mut self.known);
        let before_index = std::mem::take(&mut self.by_index);
        self.by_address.clear();
        let mut via: HashMap<u32, Vec<String>> = HashMap::new();
        for interface in interfaces {
            let key = (interface.netns, interface.index);
            let known = before_index.get(&key).and_then(|&at| before.get_mut(at));
            // The kernel may reuse the index of a deleted interface. Another name means another interface.
            let known = known.filter(|known| known.interface.name == interface.name);
            let state = match known {
                Some(known) => known.advance(interface, read_ns),
                None => InterfaceState::new(interface, read_ns),
            };
            self.by_index.insert(key, self.known.len());
            for address in &state.interface.addresses {
                self.by_address.entry((key.0, *address)).or_insert(self.known.len());
            }
            for namespace in &state.interface.behind {
                via.entry(*namespace).or_default().push(state.interface.name.clone());
            }
            self.known.push(state);
        }
        self.keep_via(via);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &InterfaceState> {
        self.known.iter()
    }

    /// Restarts averages and maxima.
    pub(crate) fn reset(&mut self) {
        for state in &mut self.known {
            state.first = bytes(&state.interface);
            state.first_ns = state.read_ns;
            state.average = Rates::default();
            state.most = Rates::default();
        }
    }

    /// The interface that the socket is bound to, else the one with its local address, else the first that leads to
    /// its network namespace.
    pub(crate) fn name_for(&self, socket: &Socket) -> Option<&str> {
        let at = match socket.ifindex {
            Some(index) => {
                self.by_index.get(&(socket.netns, index)).or_else(|| self.by_index.get(&(None, index)))
            }
            None if self.by_address.is_empty() => None,
            None => {
                let address = match socket.local.address.to_canonical() {
                    // All of 127.0.0.0/8 is local to the interface with 127.0.0.1.
                    IpAddr::V4(address) if address.is_loopback() => IpAddr::V4(Ipv4Addr::LOCALHOST),
                    address => address,
                };
                self.by_address
                    .get(&(socket.netns, address))
                    .or_else(|| self.by_address.get(&(None, address)))
            }
        };
        let own = at.and_then(|&at| self.known.get(at)).map(|state| state.interface.name.as_str());
        own.or_else(|| self.via(socket).first().map(String::as_str))
    }

    /// Keeps earlier entries: an ended connection is still shown after its container's interfaces are deleted.
    fn keep_via(&mut self, via: HashMap<u32, Vec<String>>) {
        const KEPT: usize = 4096;
        if self.via.len() > KEPT {
            self.via.clear();
        }
        self.via.extend(via);
    }

    /// The interfaces of this namespace that lead to the socket's network namespace.
    pub(crate) fn via(&self, socket: &Socket) -> &[String] {
        let names = socket.netns.and_then(|namespace| self.via.get(&namespace));
        // Loopback traffic never leaves its namespace.
        let names = names.filter(|_| !socket.local.address.to_canonical().is_loopback());
        names.map(Vec::as_slice).unwrap_or_default()
    }
}

impl InterfaceState {
    fn new(interface: Interface, read_ns: u64) -> Self {
        let first = bytes(&interface);
        let unknown = Rates::default();
        let history = RateHistory::default();
        Self {
            interface,
            rates: unknown,
            average: unknown,
            most: unknown,
            history,
            first,
            first_ns: read_ns,
            read_ns,
        }
    }

    fn advance(&mut self, interface: Interface, read_ns: u64) -> Self {
        let now = bytes(&interface);
        let elapsed_ns = read_ns.saturating_sub(self.read_ns);
        let rates = Rates::between(Some(bytes(&self.interface)), Some(now), elapsed_ns);
        let seen_ns = read_ns.saturating_sub(self.first_ns);
        let mut history = std::mem::take(&mut self.history);
        history.push(rates);
        Self {
            interface,
            rates,
            average: Rates {
                rx_bps: bits_per_second(self.first.rx, now.rx, seen_ns),
                tx_bps: bits_per_second(self.first.tx, now.tx, seen_ns),
            },
            most: Rates {
                rx_bps: self.most.rx_bps.max(rates.rx_bps),
                tx_bps: self.most.tx_bps.max(rates.tx_bps),
            },
            history,
            first: self.first,
            first_ns: self.first_ns,
            read_ns,
        }
    }
}

fn bytes(interface: &Interface) -> Bytes {
    Bytes { rx: interface.rx.bytes, tx: interface.tx.bytes }
}
