//! Adds up events between two snapshots, so that what waits is bounded by the flows and not by the packets.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use super::kernel_network::{Action, Event};
use net_traffic_snapshot::{Bytes, Endpoint, Protocol};

/// More flows between two snapshots are not told apart: whoever opens connections must not fill our memory.
const MOST: usize = 1 << 17;

/// What the events of one process between two addresses came to. Which address is the local one, events do not say
/// in the same way everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tally {
    pub pid: u32,
    pub protocol: Protocol,
    pub source: Endpoint,
    pub destination: Endpoint,
    /// Of events that say that something was received.
    pub received: bool,
    pub bytes: Bytes,
    /// When the first event was.
    pub first: i64,
    /// The connection was established in this time, or ended.
    pub opened: bool,
    pub closed: bool,
}

/// What came between two snapshots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    /// Of connections whose addresses were used again afterwards.
    pub over: Vec<Tally>,
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

/// What came since it was taken last.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    running: HashMap<Key, Tally>,
    /// Those of connections that ended, and whose addresses were used again.
    over: Vec<Tally>,
    map_full: u64,
}

impl Tallies {
    pub fn add(&mut self, event: &Event) {
        let Event { time, pid, protocol, action, bytes, destination, source } = *event;
        let received = action == Action::Received;
        let mut key = Key { pid, protocol, source, destination, received };
        let full = self.running.len() + self.over.len() >= MOST;
        if full && (action == Action::Opened || !self.running.contains_key(&key)) {
            key = Key { source: NOWHERE, destination: NOWHERE, ..key };
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

    /// Everything by now.
    pub fn take(&mut self) -> Batch {
        let over = std::mem::take(&mut self.over);
        Batch { over, running: self.running.drain().map(|(_, tally)| tally).collect() }
    }

    /// Takes back what nobody could make use of.
    pub fn give_back(&mut self, batch: Batch) {
        let since = std::mem::replace(&mut self.over, batch.over);
        let begun: HashSet<Key> = self.running.values().filter(|tally| tally.opened).map(Key::of).collect();
        for tally in batch.running {
            let key = Key::of(&tally);
            // A connection began since then, which is noted with what was sent: this one is another.
            if begun.contains(&Key { received: false, ..key }) {
                self.over.push(Tally { closed: true, ..tally });
                continue;
            }
            match self.running.entry(key) {
                Entry::Vacant(place) => _ = place.insert(tally),
                Entry::Occupied(mut running) => running.get_mut().go_on_from(&tally),
            }
        }
        self.over.extend(since);
    }

    /// Events whose flow found no room; their bytes are their process's.
    #[must_use]
    pub fn map_full(&self) -> u64 {
        self.map_full
    }

    /// A connection begins: what closed between these addresses is another one.
    fn end(&mut self, key: Key) {
        for received in [true, false] {
            let key = Key { received, ..key };
            if let Some(tally) = self.running.remove(&key) {
                self.over.push(Tally { closed: true, ..tally });
            }
        }
    }
}

impl Tally {
    /// Whether it stands for flows that were not told apart.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        self.source == NOWHERE && self.destination == NOWHERE
    }

    /// What came before it, of the same flow.
    fn go_on_from(&mut self, before: &Self) {
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

const NOWHERE: Endpoint = Endpoint { address: IpAddr::V4(Ipv4Addr::UNSPECIFIED), port: 0 };
