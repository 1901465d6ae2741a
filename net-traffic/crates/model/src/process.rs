//! Processes across snapshots, including those that have ended.

use foldhash::HashMap;

use super::history::RateHistory;
use super::rate::Rates;
use net_traffic_snapshot::{Bytes, Container, Process, ProcessId};

/// A process as of the last snapshot that contained it.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessState {
    pub process: Process,
    pub rates: Rates,
    pub history: RateHistory,
    /// The name of its container, if the runtime has one.
    pub container_name: Option<String>,
    /// Bytes of its ended connections that matched the selection.
    pub folded: Bytes,
    /// Whether it descends from the traced command.
    pub traced: bool,
    /// Consecutive snapshots without it.
    absent: u32,
}

/// Bytes of sockets without a known owner.
pub const UNOWNED: ProcessId = ProcessId { pid: 0, start_ticks: 0 };
/// Bytes of processes that had no room in the eBPF map.
pub const OTHER: ProcessId = ProcessId { pid: 0, start_ticks: 1 };
/// Processes that ended long ago; only their sum is kept.
pub const ENDED: ProcessId = ProcessId { pid: 0, start_ticks: u32::MAX };

impl ProcessState {
    /// The PID; `None` for a sum.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(self.process.id.pid).filter(|pid| *pid != 0)
    }

    /// The name of the process or of the sum.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.process.id {
            UNOWNED => "unowned",
            OTHER => "other",
            ENDED => "ended",
            _ => &self.process.name,
        }
    }

    /// The name of its container, or the short id if the runtime has no name.
    #[must_use]
    pub fn container_label(&self) -> Option<&str> {
        self.container_name.as_deref().or(self.process.container.as_deref().map(short_id))
    }

    fn new(process: Process) -> Self {
        Self {
            process,
            rates: Rates::default(),
            history: RateHistory::default(),
            container_name: None,
            folded: Bytes::default(),
            traced: false,
            absent: 0,
        }
    }
}

/// Every process since the start; those that ended long ago as sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    known: HashMap<ProcessId, ProcessState>,
    containers: HashMap<String, Container>,
    /// Bytes of processes that ended long ago.
    ended: HashMap<EndedKey, ProcessState>,
}

/// Ended processes are summed by container and by whether they were traced, because a selection can name both.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct EndedKey {
    container: Option<String>,
    traced: bool,
}

impl Processes {
    pub(crate) fn advance(
        &mut self,
        processes: Vec<Process>,
        containers: Vec<Container>,
        elapsed_ns: u64,
        limit: usize,
    ) {
        for container in containers {
            self.containers.insert(container.id.clone(), container);
        }
        for state in self.known.values_mut() {
            state.absent = state.absent.saturating_add(1);
        }
        for process in processes {
            self.update(process, elapsed_ns);
        }
        for state in self.known.values_mut().filter(|state| state.absent > 0) {
            state.rates = Rates::default();
        }
        self.expire(limit);
    }

    /// Marks descendants of the traced command. The mark is permanent.
    pub(crate) fn mark_traced(&mut self, ids: &[ProcessId]) {
        for id in ids {
            if let Some(state) = self.known.get_mut(id) {
                state.traced = true;
            }
        }
    }

    pub(crate) fn get(&self, id: ProcessId) -> Option<&ProcessState> {
        self.known.get(&id)
    }

    /// Every process, unordered, then the sums of the dropped ones.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ProcessState> {
        self.known.values().chain(self.ended.values())
    }

    /// The counted bytes of each process.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (ProcessId, Bytes)> {
        self.known.values().filter_map(|state| Some((state.process.id, state.process.counted?)))
    }

    /// Sets all counted bytes to zero. Ended processes stay, because a collector may report their count again.
    pub(crate) fn reset(&mut self) {
        self.ended.clear();
        for state in self.known.values_mut() {
            state.folded = Bytes::default();
            state.process.counted = state.process.counted.map(|_| Bytes::default());
        }
    }

    pub(crate) fn container(&self, id: &str) -> Option<&Container> {
        self.containers.get(id)
    }

    /// Adds the bytes of an ended connection to its owner.
    pub(crate) fn fold(&mut self, id: ProcessId, bytes: Bytes) {
        let state = match self.known.get_mut(&id) {
            Some(state) => state,
            None => self
                .ended
                .entry(EndedKey::default())
                .or_insert_with(|| ProcessState::new(ended_process(None))),
        };
        state.folded = sum(state.folded, bytes);
    }

    fn update(&mut self, process: Process, elapsed_ns: u64) {
        let container = process.container.as_ref().and_then(|id| self.containers.get(id));
        let container_name = container.and_then(|container| container.name.clone());
        let state = self.known.entry(process.id).or_insert_with(|| {
            // The first count of a process is the sum since its start and gives no rate.
            ProcessState::new(Process { counted: None, ..process.clone() })
        });
        state.rates = Rates::between(state.process.counted, process.counted, elapsed_ns);
        state.history.push(state.rates);
        // An ended process has no /proc entry, so its later records lack these fields.
        let before = std::mem::replace(&mut state.process, process);
        let now = &mut state.process;
        now.counted = now.counted.or(before.counted);
        now.user = now.user.take().or(before.user);
        now.command = now.command.take().or(before.command);
        now.container = now.container.take().or(before.container);
        state.container_name = container_name.or(state.container_name.take());
        state.absent = 0;
    }

    /// Folds the processes that ended longest ago. Runs at twice the limit, so that the sort is rare.
    fn expire(&mut self, limit: usize) {
        let mut absent: Vec<(u32, ProcessId)> = self
            .known
            .values()
            .filter(|state| state.absent > 0)
            .map(|state| (state.absent, state.process.id))
            .collect();
        if absent.len() <= limit.saturating_mul(2) {
            return;
        }
        absent.sort_unstable();
        for (_, id) in absent.drain(limit..) {
            if let Some(state) = self.known.remove(&id) {
                self.fold_process(state);
            }
        }
        let Self { known, containers, ended } = self;
        let in_use: std::collections::HashSet<&str> = known
            .values()
            .chain(ended.values())
            .filter_map(|state| state.process.container.as_deref())
            .collect();
        containers.retain(|id, _| in_use.contains(id.as_str()));
    }

    fn fold_process(&mut self, state: ProcessState) {
        let container = state.process.container;
        let traced = state.traced;
        let sums = self
            .ended
            .entry(EndedKey { container: container.clone(), traced })
            .or_insert_with(|| ProcessState { traced, ..ProcessState::new(ended_process(container)) });
        sums.folded = sum(sums.folded, state.folded);
        if let Some(counted) = state.process.counted {
            sums.process.counted = Some(sum(sums.process.counted.unwrap_or_default(), counted));
        }
        sums.container_name = sums.container_name.take().or(state.container_name);
    }
}

/// The first 12 of 64 digits, as `docker ps` prints them. An id of another length is a name already.
fn short_id(id: &str) -> &str {
    const FULL: usize = 64;
    const SHORT: usize = 12;
    if id.len() == FULL { id.get(..SHORT).unwrap_or(id) } else { id }
}

/// The sum of two counts.
#[must_use]
pub fn sum(one: Bytes, other: Bytes) -> Bytes {
    Bytes { rx: one.rx.saturating_add(other.rx), tx: one.tx.saturating_add(other.tx) }
}

fn ended_process(container: Option<String>) -> Process {
    Process {
        id: ENDED,
        name: String::new(),
        command: None,
        uid: None,
        user: None,
        container,
        cgroup: None,
        counted: None,
        exited: true,
    }
}
