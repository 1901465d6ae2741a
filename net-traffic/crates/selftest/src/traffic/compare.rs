//! Compares the ground truth with a tracer's numbers. Pure: data in, differences out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use net_traffic_snapshot::{Bytes, Loss, Process, ProcessId, Protocol, Snapshot, Socket, SocketId};

use super::ground_truth::Transfer;

/// When the tracer is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The processes wait with the sockets open that the ground truth lists as open.
    Open,
    /// Every socket is closed, and every process has exited.
    Closed,
}

/// The last numbers of each socket and process, over all snapshots since the tracer started.
#[derive(Default)]
pub struct Observed {
    sockets: BTreeMap<SocketId, Socket>,
    processes: BTreeMap<ProcessId, Process>,
    loss: Loss,
}

/// One number that differs from the ground truth.
#[derive(Debug, PartialEq, Eq)]
pub struct Difference {
    /// The socket or process.
    pub subject: String,
    pub direction: &'static str,
    pub expected: u64,
    /// `None` if the tracer has no number.
    pub counted: Option<u64>,
}

impl Observed {
    /// Adds one reading.
    pub fn add(&mut self, snapshot: Snapshot) {
        for socket in snapshot.sockets {
            // A socket in TIME_WAIT has the cookie of the connection and no byte counters.
            let counted = |socket: &Socket| socket.counted.is_some() || socket.lifetime.is_some();
            if counted(&socket) || !self.sockets.get(&socket.id).is_some_and(counted) {
                self.sockets.insert(socket.id, socket);
            }
        }
        self.processes.extend(snapshot.processes.into_iter().map(|process| (process.id, process)));
        self.loss = snapshot.loss;
    }

    /// The tracer's loss counters.
    #[must_use]
    pub fn loss(&self) -> Loss {
        self.loss
    }
}

/// The differences between the ground truth and the tracer's numbers. Other processes are ignored.
///
/// `hooks`: the tracer counts by hooks, so it also counts UDP, processes, and sockets that are closed before a reading.
#[must_use]
pub fn compare(truth: &[Transfer], observed: &Observed, hooks: bool, phase: Phase) -> Vec<Difference> {
    if !hooks {
        return compare_polled(truth, observed, phase);
    }
    let mut differences = vec![];
    let (mut of_processes, mut of_sockets) = (Bytes::default(), Bytes::default());
    for (process, (workers, expected)) in sums_by(truth, |moved| moved.process) {
        let counted = observed.processes.get(&process).and_then(|process| process.counted);
        let subject = format!("process {} ({workers}), started at tick {}", process.pid, process.start_ticks);
        differences.extend(differences_of(&subject, expected, counted));
        add(&mut of_processes, counted.unwrap_or_default());
    }
    for (socket, (workers, expected)) in sums_by(truth, |moved| moved.socket) {
        let counted = observed.sockets.get(&socket).and_then(|socket| socket.counted);
        differences.extend(differences_of(
            &format!("socket {} ({workers})", name(truth, socket)),
            expected,
            counted,
        ));
        add(&mut of_sockets, counted.unwrap_or_default());
    }
    differences.extend(unexpected_sockets(truth, observed));
    differences.extend(differences_of(
        "processes together, against their sockets",
        of_sockets,
        Some(of_processes),
    ));
    differences
}

/// The bytes that the tracer must count and the bytes that it counted, over all sockets of the ground truth. Without
/// hooks, only open TCP sockets.
#[must_use]
pub fn expected_and_counted(truth: &[Transfer], observed: &Observed, hooks: bool) -> (u64, u64) {
    let kept = truth.iter().filter(|moved| hooks || (moved.open && moved.protocol == Protocol::Tcp));
    let sockets: BTreeSet<_> = kept.map(|moved| moved.socket).collect();
    let mut sums = (0, 0);
    for socket in sockets {
        let polled = observed.sockets.get(&socket);
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

/// Without hooks, the kernel has byte counters of open TCP sockets only; those must be exact.
fn compare_polled(truth: &[Transfer], observed: &Observed, phase: Phase) -> Vec<Difference> {
    if phase == Phase::Closed {
        return vec![];
    }
    let open: BTreeSet<_> = truth
        .iter()
        .filter(|moved| moved.open && moved.protocol == Protocol::Tcp)
        .map(|moved| moved.socket)
        .collect();
    let mut differences = vec![];
    for socket in open {
        let transfers = || truth.iter().filter(|moved| moved.socket == socket);
        let polled = observed.sockets.get(&socket);
        let (since, counted) = match polled.and_then(|socket| socket.counted) {
            Some(counted) => ("since the tracer started", Some(counted)),
            None => ("over its life", polled.and_then(|socket| socket.lifetime)),
        };
        let expected = transfers().fold(Bytes::default(), |mut sum, moved| {
            add(&mut sum, if since == "over its life" { moved.lifetime } else { moved.counted });
            add(&mut sum, moved.framing);
            sum
        });
        differences.extend(differences_of(
            &format!("socket {} {since}", name(truth, socket)),
            expected,
            counted,
        ));
    }
    differences
}

/// Sockets without a call in the ground truth whose bytes the tracer assigned to one of its processes: bytes counted
/// twice, or for the wrong process.
fn unexpected_sockets(truth: &[Transfer], observed: &Observed) -> Vec<Difference> {
    let ours: BTreeSet<_> = truth.iter().map(|moved| moved.process).collect();
    let used: BTreeSet<_> = truth.iter().map(|moved| moved.socket).collect();
    let unexpected = observed.sockets.values().filter(|socket| {
        !used.contains(&socket.id) && socket.owner.is_some_and(|owner| ours.contains(&owner))
    });
    unexpected
        .flat_map(|socket| {
            let subject = format!("socket {} ({:?}), which no call used", socket.id.0, socket.protocol);
            differences_of(&subject, Bytes::default(), socket.counted)
        })
        .collect()
}

/// The ground truth summed by process or by socket, with the names of the workers.
fn sums_by<K: Ord>(truth: &[Transfer], key: impl Fn(&Transfer) -> K) -> BTreeMap<K, (String, Bytes)> {
    let mut sums: BTreeMap<K, (String, Bytes)> = BTreeMap::new();
    for moved in truth {
        let (workers, sum) = sums.entry(key(moved)).or_default();
        if workers.is_empty() {
            workers.clone_from(&moved.worker);
        } else if !workers.split(", ").any(|worker| worker == moved.worker) {
            *workers = format!("{workers}, {}", moved.worker);
        }
        add(sum, moved.counted);
        // Every tier counts TCP's bytes, which include the framing of TLS.
        add(sum, moved.framing);
    }
    sums
}

/// No number is right if no byte moved.
fn differences_of(subject: &str, expected: Bytes, counted: Option<Bytes>) -> Vec<Difference> {
    let directions = [
        ("received", expected.rx, counted.map(|bytes| bytes.rx)),
        ("sent", expected.tx, counted.map(|bytes| bytes.tx)),
    ];
    directions
        .into_iter()
        .filter(|(_, expected, counted)| counted.unwrap_or_default() != *expected)
        .map(|(direction, expected, counted)| Difference {
            subject: subject.to_owned(),
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

fn name(truth: &[Transfer], socket: SocketId) -> String {
    let Some(moved) = truth.iter().find(|moved| moved.socket == socket) else {
        return socket.0.to_string();
    };
    let Transfer { protocol, local, remote, .. } = moved;
    let remote = remote.map_or("*".to_owned(), |remote| format!("{}.{}", remote.address, remote.port));
    format!("{} {protocol:?} {}.{} to {remote}", socket.0, local.address, local.port)
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "while open",
            Self::Closed => "after the end",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { subject, direction, expected, counted } = self;
        write!(f, "{subject}: {direction} {expected}, counted ")?;
        match counted {
            None => write!(f, "nothing"),
            Some(counted) => {
                let error = i128::from(*counted) - i128::from(*expected);
                write!(f, "{counted}, error {error:+}")
            }
        }
    }
}
