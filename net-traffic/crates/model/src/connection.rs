//! Connections from one snapshot to the next: rates, and what ended in between.

use std::collections::{BTreeMap, hash_map::Entry};

use foldhash::{HashMap, HashSet};

use super::rate::Rates;
use net_traffic_snapshot::{Bytes, Socket, SocketId, State};

/// A socket as the last snapshot had it.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    pub socket: Socket,
    pub rates: Rates,
    /// How many snapshots ago it ended: 0 in the one that reported the end; `None` while it lives.
    pub ended: Option<u32>,
    /// When it was last read, on the monotonic clock.
    pub seen_ns: u64,
}

impl Connection {
    /// Payload over its whole life where the kernel keeps that, else since the tool began to count.
    #[must_use]
    pub fn bytes(&self) -> Option<Bytes> {
        self.socket.lifetime.or(self.socket.counted)
    }

    /// The state as it is now: what has ended is closed, whatever state it was last seen in.
    #[must_use]
    pub fn state(&self) -> State {
        if self.ended.is_some() { State::Closed } else { self.socket.state }
    }

    /// Nanoseconds from its beginning, where that was seen, until it was last read.
    #[must_use]
    pub fn age_ns(&self) -> Option<u64> {
        self.socket.opened_ns.map(|opened| self.seen_ns.saturating_sub(opened))
    }
}

/// A connection keeps its place in memory from one snapshot to the next: there may be many.
type Place = Box<Connection>;

/// The sockets of the last snapshot in its order, and those that ended a while ago.
#[derive(Clone, Debug, Default)]
pub(crate) struct Connections {
    live: Vec<Place>,
    index: HashMap<SocketId, usize>,
    ended: BTreeMap<SocketId, Connection>,
}

/// When a snapshot was read, and how long after the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub at_ns: u64,
    pub elapsed_ns: u64,
}

/// How long ended connections are kept one by one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keep {
    pub snapshots: u32,
    pub connections: usize,
}

impl Connections {
    /// Takes over a snapshot's sockets; returns the ended connections that are no longer kept.
    pub(crate) fn advance(&mut self, sockets: Vec<Socket>, moment: Moment, keep: Keep) -> Vec<Connection> {
        for ended in self.ended.values_mut() {
            ended.ended = ended.ended.map(|snapshots| snapshots.saturating_add(1));
            ended.rates = Rates::default();
        }
        // A snapshot may hold a socket and, read a moment later, its end. The end is the truth.
        let closed: HashSet<SocketId> =
            sockets.iter().filter(|socket| socket.closed).map(|socket| socket.id).collect();
        let mut before: Vec<_> = std::mem::take(&mut self.live).into_iter().map(Some).collect();
        let index = std::mem::take(&mut self.index);
        self.live.reserve(sockets.len());
        self.index.reserve(sockets.len());
        for socket in sockets {
            if socket.closed || !closed.contains(&socket.id) {
                let known = index.get(&socket.id).and_then(|&at| before.get_mut(at)).and_then(Option::take);
                self.take(socket, known, moment);
            }
        }
        self.end_missing(before.into_iter().flatten());
        self.expire(keep)
    }

    /// Every connection that is still kept: the live ones in the snapshot's order, then the ended ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.live.iter().map(Box::as_ref).chain(self.ended.values())
    }

    /// What each live socket has counted.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (SocketId, Bytes)> {
        self.live.iter().filter_map(|it| Some((it.socket.id, it.socket.counted?)))
    }

    /// Forgets what was counted and what has ended.
    pub(crate) fn reset(&mut self) {
        self.ended.clear();
        for connection in &mut self.live {
            connection.socket.counted = connection.socket.counted.map(|_| Bytes::default());
        }
    }

    /// Adds a socket, with its rates since it was last seen.
    fn take(&mut self, mut socket: Socket, known: Option<Place>, moment: Moment) {
        let Moment { at_ns: seen_ns, elapsed_ns } = moment;
        let id = socket.id;
        if !socket.closed && self.ended.get(&id).is_some_and(|ended| ended.socket.closed) {
            // Its end is known; this was read before.
            return;
        }
        if let Some(known) = &known {
            inherit(&mut socket, &known.socket);
        }
        let rates = known.as_ref().map(|known| rates(&known.socket, &socket, elapsed_ns)).unwrap_or_default();
        // A reading that failed once makes a socket look ended; it lives on.
        let returned = self.ended.remove(&id);
        let is_closed = socket.closed;
        let connection = Connection { socket, rates, ended: None, seen_ns };
        if is_closed {
            let ended = returned.and_then(|returned| returned.ended).or(Some(0));
            self.ended.insert(id, Connection { ended, ..connection });
        } else if id == SocketId::default() {
            // Without an identity there is nothing to compare it with next time.
            self.live.push(Box::new(connection));
        } else if let Entry::Vacant(new) = self.index.entry(id) {
            new.insert(self.live.len());
            self.live.push(in_place(known, connection));
        }
    }

    /// What the snapshot no longer has, and whose end nobody reported, has ended with the counters last seen.
    fn end_missing(&mut self, before: impl Iterator<Item = Place>) {
        for connection in before {
            let id = connection.socket.id;
            if id != SocketId::default() && !self.index.contains_key(&id) && !self.ended.contains_key(&id) {
                self.ended.insert(id, Connection { ended: Some(0), rates: Rates::default(), ..*connection });
            }
        }
    }

    fn expire(&mut self, keep: Keep) -> Vec<Connection> {
        let mut expired: Vec<Connection> = self
            .ended
            .extract_if(.., |_, connection| {
                connection.ended.is_some_and(|snapshots| snapshots >= keep.snapshots)
            })
            .map(|(_, connection)| connection)
            .collect();
        let excess = self.ended.len().saturating_sub(keep.connections);
        if excess > 0 {
            // The oldest go first. Those that ended in this very snapshot are reported once, whatever their number.
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

/// Puts a connection where it was before.
fn in_place(known: Option<Place>, connection: Connection) -> Place {
    match known {
        Some(mut place) => {
            *place = connection;
            place
        }
        None => Box::new(connection),
    }
}

/// What was known of a socket stays known when a later reading, such as the record of its end, lacks it.
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
