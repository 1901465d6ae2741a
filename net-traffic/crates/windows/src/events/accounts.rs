//! Attributes the bytes of ETW events to sockets and processes. Matches the tallies of the events with the rows of the
//! socket tables, and with earlier tallies.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::orientation::{Endpoints, Tables};
use super::{Batch, Entry, Tally, identity};
use net_traffic_snapshot::{Bytes, Endpoint, ProcessId, Protocol, Socket, State};

/// The maximum delay of an event. ETW flushes its buffers once a second.
const MAX_EVENT_DELAY_NS: u64 = 2_500_000_000;
/// The maximum number of processes. The bytes of all further processes are added to [`OTHER`].
const MAX_PROCESSES: usize = 1 << 16;
/// The sum of the processes beyond [`MAX_PROCESSES`].
pub(super) const OTHER: ProcessId = ProcessId { pid: 0, start_ticks: 1 };

/// Finds the process that had a PID at a given time, because Windows reuses PIDs. The time is a `FILETIME`.
pub trait PidResolver {
    fn process_at(&mut self, pid: u32, time: i64) -> ProcessId;
}

/// One reading of the socket tables and the addresses of this host.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    /// Monotonic time.
    pub at_ns: u64,
    /// The rows of the socket tables. They are read after the batch of events: a socket of the batch without a row has
    /// ended.
    pub entries: &'r [Entry],
    /// The addresses of this host.
    pub addresses: &'r [IpAddr],
}

/// The byte counts of all sockets and processes since the start.
#[derive(Debug, Default)]
pub struct Accounts {
    flows: HashMap<Key, Flow>,
    /// Sockets that have ended since the last reading, to report once.
    ended: Vec<Socket>,
    processes: HashMap<ProcessId, Bytes>,
    previous_entries: Vec<Entry>,
    map_full: u64,
}

/// Identifies the socket of an event. Several processes may bind UDP sockets to one address, so a UDP key has the PID.
/// Events do not distinguish the UDP sockets that one process binds to one address: one of them gets all bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    protocol: Protocol,
    local: Endpoint,
    remote: Option<Endpoint>,
    /// 0 for TCP, whose endpoints are unique.
    pid: u32,
}

/// The bytes of a [`Key`] since its first event.
#[derive(Clone, Debug)]
struct Flow {
    socket: Socket,
    bytes: Bytes,
    /// `Entry::created` of the row; 0 without a row.
    created: i64,
    /// A snapshot had the socket, so that its identity must not change.
    reported: bool,
    /// An event has reported the end of the connection.
    closed: bool,
    /// The time of the first reading that had no row for the flow, unless a later reading had one.
    unlisted_ns: Option<u64>,
    /// The remote endpoints of the datagrams.
    peer: Peer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    None,
    Only(Endpoint),
    Several,
}

impl Accounts {
    /// Adds a batch. Returns the sockets of the tables, the sockets that only events have shown, and the sockets that
    /// have ended since the last call.
    pub fn advance(
        &mut self,
        batch: &Batch,
        reading: &Reading<'_>,
        resolver: &mut impl PidResolver,
    ) -> Vec<Socket> {
        let tables = Tables::new(self.previous_entries.iter().chain(reading.entries), reading.addresses);
        for key in self.add(&batch.ended, &tables, resolver) {
            self.end(key);
        }
        self.add(&batch.running, &tables, resolver);
        let mut sockets = self.report_listed(reading, resolver);
        self.report_unlisted(reading, &mut sockets);
        sockets.append(&mut self.ended);
        self.previous_entries = reading.entries.to_vec();
        sockets
    }

    /// The bytes that each process has received and sent.
    #[must_use]
    pub fn processes(&self) -> &HashMap<ProcessId, Bytes> {
        &self.processes
    }

    /// The number of tallies that were added to `OTHER`.
    #[must_use]
    pub fn map_full(&self) -> u64 {
        self.map_full
    }

    /// Adds tallies to their processes and flows. Returns the keys of the flows.
    fn add(&mut self, tallies: &[Tally], tables: &Tables, resolver: &mut impl PidResolver) -> Vec<Key> {
        let orient = |tally| {
            let endpoints = tables.orient(tally);
            (tally, endpoints, tally_key(tally, endpoints, tables))
        };
        let oriented: Vec<(&Tally, Endpoints, Key)> = tallies.iter().map(orient).collect();
        // A new connection ends the previous one between the same endpoints.
        for (_, _, key) in oriented.iter().filter(|(tally, ..)| tally.opened) {
            self.end(*key);
        }
        for &(tally, endpoints, key) in &oriented {
            let owner = resolver.process_at(tally.pid, tally.first);
            self.add_to_process(owner, tally.bytes);
            if tally.is_overflow() {
                continue;
            }
            let flow = self.flows.entry(key).or_insert_with(|| Flow::new(key, tally.first));
            flow.bytes = sum(flow.bytes, tally.bytes);
            flow.closed |= tally.closed;
            flow.socket.owner.get_or_insert(owner);
            flow.add_peer(endpoints.1);
        }
        oriented.into_iter().map(|(_, _, key)| key).collect()
    }

    fn add_to_process(&mut self, owner: ProcessId, bytes: Bytes) {
        let full = self.processes.len() >= MAX_PROCESSES && !self.processes.contains_key(&owner);
        self.map_full += u64::from(full);
        let counted = self.processes.entry(if full { OTHER } else { owner }).or_default();
        *counted = sum(*counted, bytes);
    }

    /// The sockets of the tables, with their byte counts.
    fn report_listed(&mut self, reading: &Reading<'_>, resolver: &mut impl PidResolver) -> Vec<Socket> {
        // `Flow::join` resets this for each flow that has a row.
        for flow in self.flows.values_mut() {
            flow.unlisted_ns.get_or_insert(reading.at_ns);
        }
        let listed: HashSet<(Key, i64)> =
            reading.entries.iter().map(|entry| (Key::of(entry), entry.created)).collect();
        let mut sockets = Vec::with_capacity(reading.entries.len());
        for entry in reading.entries {
            let key = Key::of(entry);
            let is_replaced = |flow: &Flow| !flow.can_match(entry) && !listed.contains(&(key, flow.created));
            if self.flows.get(&key).is_some_and(is_replaced) {
                self.end(key);
            }
            let mut socket = entry.socket();
            let mut flow = self.flows.get_mut(&key).filter(|flow| flow.can_join(entry));
            let counted = flow.as_mut().map(|flow| flow.join(entry, &mut socket));
            socket.counted = Some(counted.unwrap_or_default());
            if entry.pid != 0 {
                socket.owner = Some(resolver.process_at(entry.pid, i64::MAX));
            }
            if let Some(flow) = flow {
                socket.owner = socket.owner.or(flow.socket.owner);
                flow.socket = socket.clone();
            }
            sockets.push(socket);
        }
        sockets
    }

    /// Reports the flows without a row, and ends the flows that were closed or stay without a row.
    fn report_unlisted(&mut self, reading: &Reading<'_>, sockets: &mut Vec<Socket>) {
        let is_over = |flow: &Flow| {
            let unlisted = flow.unlisted_ns.map(|since| reading.at_ns.saturating_sub(since));
            unlisted.is_some_and(|age| flow.closed || age >= MAX_EVENT_DELAY_NS)
        };
        let over: Vec<Key> =
            self.flows.iter().filter(|(_, flow)| is_over(flow)).map(|(key, _)| *key).collect();
        for key in over {
            self.end(key);
        }
        for flow in self.flows.values_mut().filter(|flow| flow.unlisted_ns.is_some()) {
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

/// The key of a tally. A UDP key has the bound address from the socket's row, which may be the wildcard address.
fn tally_key(tally: &Tally, (local, remote): Endpoints, tables: &Tables) -> Key {
    let Tally { protocol, pid, .. } = *tally;
    if protocol == Protocol::Tcp {
        return Key { protocol, local, remote: Some(remote), pid: 0 };
    }
    Key { protocol, local: tables.udp_row(local, pid).unwrap_or(local), remote: None, pid }
}

impl Flow {
    /// A flow without a row. Its identity includes the time of its first event, because a later flow may have the same
    /// endpoints.
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
            unlisted_ns: None,
            peer: Peer::None,
        }
    }

    /// Whether the creation times agree. 0 is an unknown time.
    fn can_match(&self, entry: &Entry) -> bool {
        self.created == 0 || entry.created == 0 || self.created == entry.created
    }

    /// Whether the flow can join this row. A flow joins one row of a reading at most.
    fn can_join(&self, entry: &Entry) -> bool {
        self.unlisted_ns.is_some() && self.can_match(entry)
    }

    /// Joins the flow to its row. A reported flow keeps its identity.
    fn join(&mut self, entry: &Entry, socket: &mut Socket) -> Bytes {
        if self.reported {
            socket.id = self.socket.id;
        }
        self.reported = true;
        self.created = entry.created;
        self.unlisted_ns = None;
        self.bytes
    }

    fn add_peer(&mut self, remote: Endpoint) {
        self.peer = match self.peer {
            Peer::None => Peer::Only(remote),
            Peer::Only(known) if known == remote => self.peer,
            _ => Peer::Several,
        };
    }

    /// The socket for a snapshot. If the flow never had a row and has one peer, the peer is the remote endpoint.
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
