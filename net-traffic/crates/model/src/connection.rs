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
    /// The monotonic time of the last snapshot that contained the socket.
    pub seen_ns: u64,
}

impl Connection {
    /// The payload of the socket's whole lifetime if the kernel counts it, else the payload since net-traffic attached.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        self.socket.lifetime.or(self.socket.counted)
    }

    /// The current state. An ended connection is closed, even if the last snapshot contained it in another state.
    #[must_use]
    pub fn state(&self) -> State {
        if self.ended.is_some() { State::Closed } else { self.socket.state }
    }

    /// The current state, as a view prints it.
    #[must_use]
    pub fn display_state(&self) -> DisplayState {
        match self.state() {
            State::Closed if self.ended.is_none() && self.socket.protocol != Protocol::Tcp => {
                DisplayState::Unconnected
            }
            state => DisplayState::Socket(state),
        }
    }

    /// Nanoseconds from establishment to the last snapshot that contained the socket. `None` if the establishment was
    /// not observed.
    #[must_use]
    pub fn age_ns(&self) -> Option<u64> {
        self.socket.opened_ns.map(|opened| self.seen_ns.saturating_sub(opened))
    }
}

/// A state, as a view prints it. The kernel's state of an open, unconnected socket of UDP or another datagram protocol
/// is "closed", although the socket can receive. Views print it as unconnected, as `ss` does (UNCONN).
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

/// When a snapshot was taken.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SnapshotTime {
    pub at_ns: u64,
    /// The time since the previous snapshot.
    pub elapsed_ns: u64,
}

/// Limits for ended connections that are kept individually.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedLimits {
    /// How many snapshots each is kept.
    pub snapshots: u32,
    /// How many are kept.
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
        for connection in self.ended.values_mut() {
            connection.ended = connection.ended.map(|snapshots| snapshots.saturating_add(1));
            connection.rates = Rates::default();
        }
        // A snapshot can contain a socket twice: open, and as a close record, read later. The close record wins.
        let closed: HashSet<SocketId> =
            sockets.iter().filter(|socket| socket.closed).map(|socket| socket.id).collect();
        let mut previous: Vec<_> = std::mem::take(&mut self.live).into_iter().map(Some).collect();
        let index = std::mem::take(&mut self.index);
        self.live.reserve(sockets.len());
        self.index.reserve(sockets.len());
        for socket in sockets {
            if socket.closed || !closed.contains(&socket.id) {
                let position = index.get(&socket.id);
                let earlier = position.and_then(|&at| previous.get_mut(at)).and_then(Option::take);
                self.insert(socket, earlier, time);
            }
        }
        self.end_missing(previous.into_iter().flatten());
        self.expire(limits)
    }

    /// Every kept connection: live ones in snapshot order, then ended ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.live.iter().map(Box::as_ref).chain(self.ended.values())
    }

    /// The counted bytes of each live socket.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (SocketId, Bytes)> {
        self.live.iter().filter_map(|connection| {
            let socket = &connection.socket;
            Some((socket.id, socket.counted?))
        })
    }

    /// Sets all counted bytes to zero and drops the ended connections.
    pub(crate) fn reset(&mut self) {
        self.ended.clear();
        for connection in &mut self.live {
            connection.socket.counted = connection.socket.counted.map(|_| Bytes::default());
        }
    }

    /// Adds a socket, with its rates since `earlier`, the same socket in the previous snapshot.
    fn insert(&mut self, mut socket: Socket, earlier: Option<BoxedConnection>, time: SnapshotTime) {
        let SnapshotTime { at_ns: seen_ns, elapsed_ns } = time;
        let id = socket.id;
        if !socket.closed && self.ended.get(&id).is_some_and(|ended| ended.socket.closed) {
            // An earlier snapshot contained the close record, so this entry is outdated.
            return;
        }
        if let Some(earlier) = &earlier {
            fill_missing(&mut socket, &earlier.socket);
        }
        let rates = earlier
            .as_ref()
            .map(|earlier| rates_between(&earlier.socket, &socket, elapsed_ns))
            .unwrap_or_default();
        // An incomplete snapshot may have lacked this socket, which was then marked as ended.
        let marked_ended = self.ended.remove(&id);
        let is_closed = socket.closed;
        let connection = Connection { socket, rates, ended: None, seen_ns };
        if is_closed {
            let ended = marked_ended.and_then(|connection| connection.ended).or(Some(0));
            self.ended.insert(id, Connection { ended, ..connection });
        } else if id == SocketId::default() {
            // Without a cookie, the socket cannot be found again in the next snapshot, so it gets no index entry.
            self.live.push(Box::new(connection));
        } else if let Entry::Vacant(entry) = self.index.entry(id) {
            entry.insert(self.live.len());
            self.live.push(reuse_box(earlier, connection));
        }
    }

    /// Marks each of these connections as ended, unless the new snapshot has the socket or its close record. The last
    /// counters stay.
    fn end_missing(&mut self, unmatched: impl Iterator<Item = BoxedConnection>) {
        for connection in unmatched {
            let id = connection.socket.id;
            if id != SocketId::default() && !self.index.contains_key(&id) && !self.ended.contains_key(&id) {
                self.ended.insert(id, Connection { ended: Some(0), rates: Rates::default(), ..*connection });
            }
        }
    }

    /// Removes and returns the ended connections beyond the limits.
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
            // The connections that ended first are removed first. Those that ended in this snapshot stay, so that each
            // is reported once.
            let mut oldest: Vec<(u32, SocketId)> = self
                .ended
                .iter()
                .filter_map(|(id, connection)| {
                    Some((connection.ended.filter(|&snapshots| snapshots > 0)?, *id))
                })
                .collect();
            oldest.sort_unstable_by_key(|&(snapshots, id)| (std::cmp::Reverse(snapshots), id));
            expired.extend(oldest.into_iter().take(excess).filter_map(|(_, id)| self.ended.remove(&id)));
        }
        expired
    }
}

/// Boxes the connection. Reuses the allocation of the same connection in the previous snapshot.
fn reuse_box(earlier: Option<BoxedConnection>, connection: Connection) -> BoxedConnection {
    match earlier {
        Some(mut boxed) => {
            *boxed = connection;
            boxed
        }
        None => Box::new(connection),
    }
}

/// Fills the fields that `now` lacks from the previous entry of the same socket. A close record, for example, has fewer
/// fields than an open socket.
fn fill_missing(now: &mut Socket, before: &Socket) {
    if now.lifetime.is_none()
        && let (Some(lifetime), Some(counted_before), Some(counted)) =
            (before.lifetime, before.counted, now.counted)
    {
        now.lifetime = Some(Bytes {
            rx: lifetime.rx.saturating_add(counted.rx.saturating_sub(counted_before.rx)),
            tx: lifetime.tx.saturating_add(counted.tx.saturating_sub(counted_before.tx)),
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

/// Rates from the counted bytes if both entries have them, else from the bytes of the lifetime.
fn rates_between(before: &Socket, now: &Socket, elapsed_ns: u64) -> Rates {
    if before.counted.is_some() && now.counted.is_some() {
        Rates::between(before.counted, now.counted, elapsed_ns)
    } else {
        Rates::between(before.lifetime, now.lifetime, elapsed_ns)
    }
}
