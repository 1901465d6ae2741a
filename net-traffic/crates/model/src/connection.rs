//! Connections across snapshots: their rates, and those that ended between two snapshots.

use std::collections::{BTreeMap, hash_map::Entry};

use foldhash::{HashMap, HashSet};

use super::rate::Rates;
use net_traffic_snapshot::{Bytes, Protocol, Socket, SocketId, State};

/// A socket as of the last snapshot that contained it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub socket: Socket,
    pub rates: Rates,
    /// Snapshots since the end: 0 in the snapshot that reported it, `None` while the socket is open.
    pub ended: Option<u32>,
    /// The time of that snapshot, on the monotonic clock.
    pub seen_ns: u64,
}

impl Connection {
    /// Payload over the socket's lifetime if the kernel counts it, else since this program attached.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        self.socket.lifetime.or(self.socket.counted)
    }

    /// The current state: an ended connection is closed, whatever state its last snapshot had.
    #[must_use]
    pub fn state(&self) -> State {
        if self.ended.is_some() { State::Closed } else { self.socket.state }
    }

    /// The current state as views show it.
    #[must_use]
    pub fn display_state(&self) -> DisplayState {
        match self.state() {
            State::Closed if self.ended.is_none() && self.socket.protocol != Protocol::Tcp => {
                DisplayState::Unconnected
            }
            state => DisplayState::Socket(state),
        }
    }

    /// Nanoseconds from establishment, if that was observed, to the last snapshot that contained the socket.
    #[must_use]
    pub fn age_ns(&self) -> Option<u64> {
        self.socket.opened_ns.map(|opened| self.seen_ns.saturating_sub(opened))
    }
}

/// A state as views show it. An open socket of UDP or another protocol without connections has the kernel's state
/// "closed" although it can receive; `ss` prints it as UNCONN, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DisplayState {
    Socket(State),
    Unconnected,
}

/// Boxed, so that advancing 10 000 connections moves pointers, not whole structs.
type BoxedConnection = Box<Connection>;

/// The sockets of the last snapshot in its order, and the recently ended ones.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    live: Vec<BoxedConnection>,
    index: HashMap<SocketId, usize>,
    ended: BTreeMap<SocketId, Connection>,
}

/// The time of a snapshot, and the time since the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotTime {
    pub at_ns: u64,
    pub elapsed_ns: u64,
}

/// How long, and how many, ended connections are kept one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedLimits {
    pub snapshots: u32,
    pub connections: usize,
}

impl Connections {
    /// Applies a snapshot's sockets. Returns the ended connections that the limits drop.
    pub(crate) fn advance(
        &mut self,
        sockets: Vec<Socket>,
        time: SnapshotTime,
        limits: EndedLimits,
    ) -> Vec<Connection> {
        for ended in self.ended.values_mut() {
            ended.ended = ended.ended.map(|snapshots| snapshots.saturating_add(1));
            ended.rates = Rates::default();
        }
        // A snapshot can contain an open socket and, read a moment later, its close record. The close record wins.
        let closed: HashSet<SocketId> =
            sockets.iter().filter(|socket| socket.closed).map(|socket| socket.id).collect();
        let mut before: Vec<_> = std::mem::take(&mut self.live).into_iter().map(Some).collect();
        let index = std::mem::take(&mut self.index);
        self.live.reserve(sockets.len());
        self.index.reserve(sockets.len());
        for socket in sockets {
            if socket.closed || !closed.contains(&socket.id) {
                let known = index.get(&socket.id).and_then(|&at| before.get_mut(at)).and_then(Option::take);
                self.insert(socket, known, time);
            }
        }
        self.end_missing(before.into_iter().flatten());
        self.expire(limits)
    }

    /// Every kept connection: live ones in snapshot order, then ended ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.live.iter().map(Box::as_ref).chain(self.ended.values())
    }

    /// The counted bytes of each live socket.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (SocketId, Bytes)> {
        self.live.iter().filter_map(|it| Some((it.socket.id, it.socket.counted?)))
    }

    /// Sets all counted bytes to zero and drops the ended connections.
    pub(crate) fn reset(&mut self) {
        self.ended.clear();
        for connection in &mut self.live {
            connection.socket.counted = connection.socket.counted.map(|_| Bytes::default());
        }
    }

    /// Adds a socket, with its rates since the previous snapshot.
    fn insert(&mut self, mut socket: Socket, known: Option<BoxedConnection>, time: SnapshotTime) {
        let SnapshotTime { at_ns: seen_ns, elapsed_ns } = time;
        let id = socket.id;
        if !socket.closed && self.ended.get(&id).is_some_and(|ended| ended.socket.closed) {
            // The close record arrived in an earlier snapshot; this entry is older than it.
            return;
        }
        if let Some(known) = &known {
            inherit(&mut socket, &known.socket);
        }
        let rates = known.as_ref().map(|known| rates(&known.socket, &socket, elapsed_ns)).unwrap_or_default();
        // A socket that one incomplete snapshot lacked was marked as ended by mistake.
        let returned = self.ended.remove(&id);
        let is_closed = socket.closed;
        let connection = Connection { socket, rates, ended: None, seen_ns };
        if is_closed {
            let ended = returned.and_then(|returned| returned.ended).or(Some(0));
            self.ended.insert(id, Connection { ended, ..connection });
        } else if id == SocketId::default() {
            // A socket without a cookie cannot be matched with the next snapshot, so it is not indexed.
            self.live.push(Box::new(connection));
        } else if let Entry::Vacant(new) = self.index.entry(id) {
            new.insert(self.live.len());
            self.live.push(reuse_box(known, connection));
        }
    }

    /// Marks sockets as ended that the snapshot lacks and that no close record reported. Their last counters stay.
    fn end_missing(&mut self, before: impl Iterator<Item = BoxedConnection>) {
        for connection in before {
            let id = connection.socket.id;
            if id != SocketId::default() && !self.index.contains_key(&id) && !self.ended.contains_key(&id) {
                self.ended.insert(id, Connection { ended: Some(0), rates: Rates::default(), ..*connection });
            }
        }
    }

    fn expire(&mut self, limits: EndedLimits) -> Vec<Connection> {
        let mut expired: Vec<Connection> = self
            .ended
            .extract_if(.., |_, connection| {
                connection.ended.is_some_and(|snapshots| snapshots >= limits.snapshots)
            })
            .map(|(_, connection)| connection)
            .collect();
        let excess = self.ended.len().saturating_sub(limits.connections);
        if excess > 0 {
            // The oldest are dropped first. A connection that ended in this snapshot is reported at least once.
            let mut oldest: Vec<(u32, SocketId)> = self
                .ended
                .iter()
                .filter_map(|(id, it)| it.ended.filter(|&age| age > 0).map(|age| (age, *id)))
                .collect();
            oldest.sort_unstable_by_key(|&(age, id)| (std::cmp::Reverse(age), id));
            expired.extend(oldest.into_iter().take(excess).filter_map(|(_, id)| self.ended.remove(&id)));
        }
        expired
    }
}

/// Stores the connection in the box of its predecessor, without a new allocation.
fn reuse_box(known: Option<BoxedConnection>, connection: Connection) -> BoxedConnection {
    match known {
        Some(mut boxed) => {
            *boxed = connection;
            boxed
        }
        None => Box::new(connection),
    }
}

/// Copies fields that a later entry, such as a close record, lacks from the earlier entry of the same socket.
fn inherit(now: &mut Socket, before: &Socket) {
    if now.lifetime.is_none()
        && let (Some(lifetime), Some(then), Some(counted)) = (before.lifetime, before.counted, now.counted)
    {
        now.lifetime = Some(Bytes {
            rx: lifetime.rx.saturating_add(counted.rx.saturating_sub(then.rx)),
            tx: lifetime.tx.saturating_add(counted.tx.saturating_sub(then.tx)),
        });
    }
    now.remote = now.remote.or(before.remote);
    now.netns = now.netns.or(before.netns);
    now.ifindex = now.ifindex.or(before.ifindex);
    now.owner = now.owner.or(before.owner);
    now.uid = now.uid.or(before.uid);
    now.opened_ns = now.opened_ns.or(before.opened_ns);
    if now.closed && now.tcp.is_none() {
        now.tcp.clone_from(&before.tcp);
    }
}

fn rates(before: &Socket, now: &Socket, elapsed_ns: u64) -> Rates {
    if before.counted.is_some() && now.counted.is_some() {
        Rates::between(before.counted, now.counted, elapsed_ns)
    } else {
        Rates::between(before.lifetime, now.lifetime, elapsed_ns)
    }
}
