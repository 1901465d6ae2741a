//! The truth against what a tracer saw. Pure: data in, differences out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use net_traffic_snapshot::{Bytes, Loss, Process, ProcessId, Protocol, Snapshot, Socket, SocketId};

use super::truth::Moved;

/// When the tracer was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The processes wait, and hold open what the truth calls open.
    Open,
    /// Every socket is closed and every process gone.
    Closed,
}

/// The last that was seen of every socket and process, over all snapshots since the tracer started.
#[derive(Default)]
pub struct Seen {
    sockets: BTreeMap<SocketId, Socket>,
    processes: BTreeMap<ProcessId, Process>,
    loss: Loss,
}

/// One number that is not what it must be.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    pub what: String,
    pub direction: &'static str,
    pub expected: u64,
    /// `None` where the tracer shows no number at all.
    pub counted: Option<u64>,
}

impl Seen {
    /// Takes in one more reading.
    pub fn add(&mut self, snapshot: Snapshot) {
        for socket in snapshot.sockets {
            // What lingers in TIME_WAIT has the cookie of the connection and knows none of its bytes.
            let counted = |socket: &Socket| socket.counted.is_some() || socket.lifetime.is_some();
            if counted(&socket) || !self.sockets.get(&socket.id).is_some_and(counted) {
                self.sockets.insert(socket.id, socket);
            }
        }
        self.processes.extend(snapshot.processes.into_iter().map(|process| (process.id, process)));
        self.loss = snapshot.loss;
    }

    /// The tracer's own ledger.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }
}

/// Every difference between the truth and what was seen, with nothing about processes that are not in the truth.
///
/// `hooks`: the tracer has one on the bytes themselves, so that it sees UDP, processes, and sockets that are gone when
/// it reads.
#[must_use]
pub fn compare(truth: &[Moved], seen: &Seen, hooks: bool, moment: Moment) -> Vec<Difference> {
    if !hooks {
        return compare_polled(truth, seen, moment);
    }
    let mut differences = vec![];
    let (mut of_processes, mut of_sockets) = (Bytes::default(), Bytes::default());
    for (process, (who, expected)) in by(truth, |moved| moved.process) {
        let counted = seen.processes.get(&process).and_then(|process| process.counted);
        let what = format!("process {} ({who}), started at tick {}", process.pid, process.start_ticks);
        differences.extend(between(&what, expected, counted));
        add(&mut of_processes, counted.unwrap_or_default());
    }
    for (socket, (who, expected)) in by(truth, |moved| moved.socket) {
        let counted = seen.sockets.get(&socket).and_then(|socket| socket.counted);
        differences.extend(between(&format!("socket {} ({who})", name(truth, socket)), expected, counted));
        add(&mut of_sockets, counted.unwrap_or_default());
    }
    differences.extend(counted_besides(truth, seen));
    differences.extend(between("processes together, against their sockets", of_sockets, Some(of_processes)));
    differences
}

/// The bytes that the tracer promises to count, and those of them that it counted, over all sockets of the truth.
/// Without hooks: of TCP sockets that are open.
#[must_use]
pub fn promised(truth: &[Moved], seen: &Seen, hooks: bool) -> (u64, u64) {
    let kept = truth.iter().filter(|moved| hooks || (moved.open && moved.protocol == Protocol::Tcp));
    let sockets: BTreeSet<_> = kept.map(|moved| moved.socket).collect();
    let mut sums = (0, 0);
    for socket in sockets {
        let polled = seen.sockets.get(&socket);
        let counted = polled.and_then(|socket| socket.counted);
        let life = polled.and_then(|socket| socket.lifetime);
        for moved in truth.iter().filter(|moved| moved.socket == socket) {
            let bytes = if hooks || counted.is_some() { moved.counted } else { moved.lifetime };
            sums.0 += bytes.rx + bytes.tx + moved.framing.rx + moved.framing.tx;
        }
        let bytes = if hooks { counted } else { counted.or(life) }.unwrap_or_default();
        sums.1 += bytes.rx + bytes.tx;
    }
    sums
}

/// Without hooks only TCP sockets that are open when they are read can be right, and they must be.
fn compare_polled(truth: &[Moved], seen: &Seen, moment: Moment) -> Vec<Difference> {
    if moment == Moment::Closed {
        return vec![];
    }
    let open: BTreeSet<_> = truth
        .iter()
        .filter(|moved| moved.open && moved.protocol == Protocol::Tcp)
        .map(|moved| moved.socket)
        .collect();
    let mut differences = vec![];
    for socket in open {
        let here = || truth.iter().filter(|moved| moved.socket == socket);
        let polled = seen.sockets.get(&socket);
        let (since, counted) = match polled.and_then(|socket| socket.counted) {
            Some(counted) => ("since the tracer started", Some(counted)),
            None => ("over its life", polled.and_then(|socket| socket.lifetime)),
        };
        let expected = here().fold(Bytes::default(), |mut sum, moved| {
            add(&mut sum, if since == "over its life" { moved.lifetime } else { moved.counted });
            add(&mut sum, moved.framing);
            sum
        });
        differences.extend(between(&format!("socket {} {since}", name(truth, socket)), expected, counted));
    }
    differences
}

/// Bytes on a socket that no call of ours used, booked on one of our processes: counted twice, or on the wrong one.
fn counted_besides(truth: &[Moved], seen: &Seen) -> Vec<Difference> {
    let ours: BTreeSet<_> = truth.iter().map(|moved| moved.process).collect();
    let known: BTreeSet<_> = truth.iter().map(|moved| moved.socket).collect();
    let besides = seen.sockets.values().filter(|socket| {
        !known.contains(&socket.id) && socket.owner.is_some_and(|owner| ours.contains(&owner))
    });
    besides
        .flat_map(|socket| {
            let what = format!("socket {} ({:?}), which no call used", socket.id.0, socket.protocol);
            between(&what, Bytes::default(), socket.counted)
        })
        .collect()
}

/// The truth summed by process or by socket, each with the names of the actors that it is about.
fn by<K: Ord>(truth: &[Moved], key: impl Fn(&Moved) -> K) -> BTreeMap<K, (String, Bytes)> {
    let mut sums: BTreeMap<K, (String, Bytes)> = BTreeMap::new();
    for moved in truth {
        let (who, sum) = sums.entry(key(moved)).or_default();
        if who.is_empty() {
            who.clone_from(&moved.actor);
        } else if !who.split(", ").any(|actor| actor == moved.actor) {
            *who = format!("{who}, {}", moved.actor);
        }
        add(sum, moved.counted);
        // The layer that all tiers read is TCP's, below TLS.
        add(sum, moved.framing);
    }
    sums
}

/// Nothing counted is right where nothing moved.
fn between(what: &str, expected: Bytes, counted: Option<Bytes>) -> Vec<Difference> {
    let directions = [
        ("received", expected.rx, counted.map(|bytes| bytes.rx)),
        ("sent", expected.tx, counted.map(|bytes| bytes.tx)),
    ];
    directions
        .into_iter()
        .filter(|(_, expected, counted)| counted.unwrap_or_default() != *expected)
        .map(|(direction, expected, counted)| Difference {
            what: what.to_owned(),
            direction,
            expected,
            counted,
        })
        .collect()
}

fn add(sum: &mut Bytes, more: Bytes) {
    sum.rx += more.rx;
    sum.tx += more.tx;
}

fn name(truth: &[Moved], socket: SocketId) -> String {
    let Some(moved) = truth.iter().find(|moved| moved.socket == socket) else {
        return socket.0.to_string();
    };
    let Moved { protocol, local, remote, .. } = moved;
    let remote = remote.map_or("*".to_owned(), |remote| format!("{}.{}", remote.address, remote.port));
    format!("{} {protocol:?} {}.{} to {remote}", socket.0, local.address, local.port)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "while open",
            Self::Closed => "after the end",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, direction, expected, counted } = self;
        write!(f, "{what}: {direction} {expected}, counted ")?;
        match counted {
            None => write!(f, "nothing"),
            Some(counted) => {
                let error = i128::from(*counted) - i128::from(*expected);
                write!(f, "{counted}, error {error:+}")
            }
        }
    }
}
