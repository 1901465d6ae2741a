//! Whose the counted bytes are: events are matched with the tables, and with what both said before.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::orientation::{Ends, Tables};
use super::{Batch, Entry, Tally, identity};
use net_traffic_snapshot::{Bytes, Endpoint, ProcessId, Protocol, Socket, State};

/// How long events may come after what they tell of: the system hands them over once a second.
const LATE_NS: u64 = 2_500_000_000;
/// More processes are counted as one: [`OTHER`].
const MOST: usize = 1 << 16;
/// What found no room among the processes.
pub(super) const OTHER: ProcessId = ProcessId { pid: 0, start_ticks: 1 };

/// Knows who had a process id at a time, in steps of 100 ns since 1601. Ids are used again.
pub trait Owners {
    fn at(&mut self, pid: u32, time: i64) -> ProcessId;
}

/// What was read at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    /// On the monotonic clock.
    pub at_ns: u64,
    /// The tables, read after the events were taken: what is in neither has ended.
    pub entries: &'r [Entry],
    /// The addresses of this machine.
    pub addresses: &'r [IpAddr],
}

/// All that was counted since the beginning.
#[derive(Debug, Default)]
pub struct Accounts {
    flows: HashMap<Key, Flow>,
    /// What ended since the last reading.
    ended: Vec<Socket>,
    processes: HashMap<ProcessId, Bytes>,
    before: Vec<Entry>,
    map_full: u64,
}

/// What makes events those of one socket. Several UDP sockets of a machine may have one address; of several of one
/// process events say nothing that tells them apart: one of them has what all of them moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    protocol: Protocol,
    local: Endpoint,
    remote: Option<Endpoint>,
    pid: u32,
}

#[derive(Clone, Debug)]
struct Flow {
    socket: Socket,
    bytes: Bytes,
    /// `Entry::created`.
    created: i64,
    /// Its identity is known outside.
    reported: bool,
    /// Its end was seen.
    closed: bool,
    /// Since when it is in no table.
    missing_ns: Option<u64>,
    /// The only peer of datagrams, as long as there is one.
    peer: Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    None,
    Only(Endpoint),
    Several,
}

impl Accounts {
    /// Adds what events told, and gives every socket there is: those of the tables, those that only events know,
    /// and, once, those that ended.
    pub fn advance(&mut self, batch: &Batch, reading: &Reading<'_>, owners: &mut impl Owners) -> Vec<Socket> {
        let tables = Tables::new(self.before.iter().chain(reading.entries), reading.addresses);
        for key in self.take(&batch.over, &tables, owners) {
            self.end(key);
        }
        self.take(&batch.running, &tables, owners);
        let mut sockets = self.list(reading, owners);
        self.miss(reading, &mut sockets);
        sockets.append(&mut self.ended);
        self.before = reading.entries.to_vec();
        sockets
    }

    /// What each process received and sent.
    #[must_use]
    pub fn processes(&self) -> &HashMap<ProcessId, Bytes> {
        &self.processes
    }

    /// How often a process found no room.
    #[must_use]
    pub fn map_full(&self) -> u64 {
        self.map_full
    }

    /// Adds what events told; returns which flows that was.
    fn take(&mut self, tallies: &[Tally], tables: &Tables, owners: &mut impl Owners) -> Vec<Key> {
        let orient = |tally| {
            let ends = tables.orient(tally);
            (tally, ends, key(tally, ends, tables))
        };
        let oriented: Vec<(&Tally, Ends, Key)> = tallies.iter().map(orient).collect();
        // A connection that begins is not the one that was between these addresses before.
        for (_, _, key) in oriented.iter().filter(|(tally, ..)| tally.opened) {
            self.end(*key);
        }
        for &(tally, ends, key) in &oriented {
            let owner = owners.at(tally.pid, tally.first);
            self.credit(owner, tally.bytes);
            if tally.is_nowhere() {
                continue;
            }
            let flow = self.flows.entry(key).or_insert_with(|| Flow::new(key, tally.first));
            flow.bytes = sum(flow.bytes, tally.bytes);
            flow.closed |= tally.closed;
            flow.socket.owner.get_or_insert(owner);
            flow.meet(ends.1);
        }
        oriented.into_iter().map(|(_, _, key)| key).collect()
    }

    fn credit(&mut self, owner: ProcessId, bytes: Bytes) {
        let full = self.processes.len() >= MOST && !self.processes.contains_key(&owner);
        self.map_full += u64::from(full);
        let row = self.processes.entry(if full { OTHER } else { owner }).or_default();
        *row = sum(*row, bytes);
    }

    /// The sockets of the tables, with what was counted of them.
    fn list(&mut self, reading: &Reading<'_>, owners: &mut impl Owners) -> Vec<Socket> {
        for flow in self.flows.values_mut() {
            flow.missing_ns.get_or_insert(reading.at_ns);
        }
        let listed: HashSet<(Key, i64)> =
            reading.entries.iter().map(|entry| (Key::of(entry), entry.created)).collect();
        let mut sockets = Vec::with_capacity(reading.entries.len());
        for entry in reading.entries {
            let key = Key::of(entry);
            let is_over = |flow: &Flow| !flow.may_be(entry) && !listed.contains(&(key, flow.created));
            if self.flows.get(&key).is_some_and(is_over) {
                self.end(key);
            }
            let mut socket = entry.socket();
            let mut flow = self.flows.get_mut(&key).filter(|flow| flow.may_join(entry));
            let counted = flow.as_mut().map(|flow| flow.join(entry, &mut socket));
            socket.counted = Some(counted.unwrap_or_default());
            if entry.pid != 0 {
                socket.owner = Some(owners.at(entry.pid, i64::MAX));
            }
            if let Some(flow) = flow {
                socket.owner = socket.owner.or(flow.socket.owner);
                flow.socket = socket.clone();
            }
            sockets.push(socket);
        }
        sockets
    }

    /// What events told of and no table has: it ended, or is about to be told of no more.
    fn miss(&mut self, reading: &Reading<'_>, sockets: &mut Vec<Socket>) {
        let is_over = |flow: &Flow| {
            let missing = flow.missing_ns.map(|since| reading.at_ns.saturating_sub(since));
            missing.is_some_and(|missing| flow.closed || missing >= LATE_NS)
        };
        let over: Vec<Key> =
            self.flows.iter().filter(|(_, flow)| is_over(flow)).map(|(key, _)| *key).collect();
        for key in over {
            self.end(key);
        }
        for flow in self.flows.values_mut().filter(|flow| flow.missing_ns.is_some()) {
            flow.reported = true;
            sockets.push(flow.report(false));
        }
    }

    fn end(&mut self, key: Key) {
        if let Some(flow) = self.flows.remove(&key) {
            self.ended.push(flow.report(true));
        }
    }
}

impl Key {
    fn of(entry: &Entry) -> Self {
        let Entry { protocol, local, remote, pid, .. } = *entry;
        Self { protocol, local, remote, pid: if protocol == Protocol::Tcp { 0 } else { pid } }
    }
}

/// Datagrams belong to the row of the table that their local end belongs to.
fn key(tally: &Tally, (local, remote): Ends, tables: &Tables) -> Key {
    let Tally { protocol, pid, .. } = *tally;
    if protocol == Protocol::Tcp {
        return Key { protocol, local, remote: Some(remote), pid: 0 };
    }
    Key { protocol, local: tables.row_of(local, pid).unwrap_or(local), remote: None, pid }
}

impl Flow {
    /// Of which nothing is known but an event. Its time makes it another socket than those before and after.
    fn new(key: Key, first: i64) -> Self {
        let Key { protocol, local, remote, pid } = key;
        let state = if protocol == Protocol::Tcp { State::Established } else { State::Closed };
        let entry = Entry { protocol, local, remote, state, pid, created: 0, scopes: [0; 2] };
        let id = identity(protocol, local, remote, (first, pid));
        let socket = Socket { id, ..entry.socket() };
        Self {
            socket,
            bytes: Bytes::default(),
            created: 0,
            reported: false,
            closed: false,
            missing_ns: None,
            peer: Peer::None,
        }
    }

    fn may_be(&self, entry: &Entry) -> bool {
        self.created == 0 || entry.created == 0 || self.created == entry.created
    }

    /// Of the rows of one reading that have its key, one does.
    fn may_join(&self, entry: &Entry) -> bool {
        self.missing_ns.is_some() && self.may_be(entry)
    }

    /// It is in the table: it keeps the identity under which it was first reported, if it was.
    fn join(&mut self, entry: &Entry, socket: &mut Socket) -> Bytes {
        if self.reported {
            socket.id = self.socket.id;
        }
        self.reported = true;
        self.created = entry.created;
        self.missing_ns = None;
        self.bytes
    }

    fn meet(&mut self, remote: Endpoint) {
        self.peer = match self.peer {
            Peer::None => Peer::Only(remote),
            Peer::Only(known) if known == remote => self.peer,
            _ => Peer::Several,
        };
    }

    /// What is known of it now. A socket that no table ever had may have its only peer shown.
    fn report(&self, closed: bool) -> Socket {
        let mut socket = Socket { counted: Some(self.bytes), closed, ..self.socket.clone() };
        if let (None, Peer::Only(peer), 0) = (socket.remote, self.peer, self.created) {
            socket.remote = Some(peer);
        }
        if closed {
            socket.state = State::Closed;
        }
        socket
    }
}

fn sum(one: Bytes, other: Bytes) -> Bytes {
    Bytes { rx: one.rx.saturating_add(other.rx), tx: one.tx.saturating_add(other.tx) }
}
