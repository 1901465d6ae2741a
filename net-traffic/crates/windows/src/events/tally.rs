//! Sums the events between two snapshots: memory is bounded by the number of flows, not of packets.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::kernel_network::{Action, Event};
use net_traffic_snapshot::{Bytes, Endpoint, Protocol};

/// Further flows are summed into one per process: many short connections must not exhaust the memory.
const MAX_FLOWS: usize = 1 << 17;

/// The sum of the events of one process between two endpoints. Either endpoint may be the local one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub pid: u32,
    pub protocol: Protocol,
    pub source: Endpoint,
    pub destination: Endpoint,
    /// The sum of receive events.
    pub received: bool,
    pub bytes: Bytes,
    /// The time of the first event.
    pub first: i64,
    /// A connection was established between the two snapshots, or ended.
    pub opened: bool,
    pub closed: bool,
}

/// The tallies between two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Tallies of connections whose endpoints were reused afterwards.
    pub ended: Vec<Tally>,
    pub running: Vec<Tally>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    pid: u32,
    protocol: Protocol,
    source: Endpoint,
    destination: Endpoint,
    received: bool,
}

/// The tallies since the last batch.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    running: HashMap<Key, Tally>,
    /// Tallies of connections whose endpoints were reused afterwards.
    ended: Vec<Tally>,
    map_full: u64,
}

impl Tallies {
    pub fn add(&mut self, event: &Event) {
        let Event { time, pid, protocol, action, bytes, destination, source } = *event;
        let received = action == Action::Received;
        let mut key = Key { pid, protocol, source, destination, received };
        let full = self.running.len() + self.ended.len() >= MAX_FLOWS;
        if full && (action == Action::Opened || !self.running.contains_key(&key)) {
            key = Key { source: OVERFLOW, destination: OVERFLOW, ..key };
            self.map_full += 1;
        }
        if action == Action::Opened && !full {
            self.end(key);
        }
        let tally = self.running.entry(key).or_insert_with(|| key.tally(time));
        match action {
            Action::Sent => tally.bytes.tx = tally.bytes.tx.saturating_add(bytes.into()),
            Action::Received => tally.bytes.rx = tally.bytes.rx.saturating_add(bytes.into()),
            Action::Opened => tally.opened = true,
            Action::Closed => tally.closed = true,
        }
    }

    /// Takes all tallies.
    pub fn take(&mut self) -> Batch {
        let ended = std::mem::take(&mut self.ended);
        Batch { ended, running: self.running.drain().map(|(_, tally)| tally).collect() }
    }

    /// Restores a batch that was not processed.
    pub fn restore(&mut self, batch: Batch) {
        let since = std::mem::replace(&mut self.ended, batch.ended);
        let begun: HashSet<Key> = self.running.values().filter(|tally| tally.opened).map(Key::of).collect();
        for tally in batch.running {
            let key = Key::of(&tally);
            // A connection between these endpoints has started since, whose `opened` is in the tally of sent bytes. The
            // batch has the previous connection.
            if begun.contains(&Key { received: false, ..key }) {
                self.ended.push(Tally { closed: true, ..tally });
                continue;
            }
            match self.running.entry(key) {
                Entry::Vacant(place) => _ = place.insert(tally),
                Entry::Occupied(mut running) => running.get_mut().add_earlier(&tally),
            }
        }
        self.ended.extend(since);
    }

    /// The number of events beyond `MAX_FLOWS`. Their bytes count for the process only.
    #[must_use]
    pub fn map_full(&self) -> u64 {
        self.map_full
    }

    /// Ends the tallies between the endpoints of a new connection: they belong to the previous one.
    fn end(&mut self, key: Key) {
        for received in [true, false] {
            let key = Key { received, ..key };
            if let Some(tally) = self.running.remove(&key) {
                self.ended.push(Tally { closed: true, ..tally });
            }
        }
    }
}

impl Tally {
    /// Whether this is the sum of the flows beyond `MAX_FLOWS`.
    #[must_use]
    pub fn is_overflow(&self) -> bool {
        self.source == OVERFLOW && self.destination == OVERFLOW
    }

    /// Adds an earlier tally of the same flow.
    fn add_earlier(&mut self, before: &Self) {
        self.bytes.rx = self.bytes.rx.saturating_add(before.bytes.rx);
        self.bytes.tx = self.bytes.tx.saturating_add(before.bytes.tx);
        self.first = before.first;
        self.opened |= before.opened;
        self.closed |= before.closed;
    }
}

impl Key {
    fn of(tally: &Tally) -> Self {
        let Tally { pid, protocol, source, destination, received, .. } = *tally;
        Self { pid, protocol, source, destination, received }
    }

    fn tally(self, first: i64) -> Tally {
        let Self { pid, protocol, source, destination, received } = self;
        let bytes = Bytes::default();
        Tally { pid, protocol, source, destination, received, bytes, first, opened: false, closed: false }
    }
}

const OVERFLOW: Endpoint = Endpoint { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
