//! Processes from one snapshot to the next, including those that have ended.

use foldhash::HashMap;

use super::history::History;
use super::rate::Rates;
use net_traffic_snapshot::{Bytes, Container, Process, ProcessId};

/// A process as it was last seen.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessState {
    pub process: Process,
    pub rates: Rates,
    pub history: History,
    /// The name of its container, where the runtime gave one.
    pub container_name: Option<String>,
    /// What its ended connections moved, those that were selected.
    pub folded: Bytes,
    /// It descends from the command that is traced.
    pub traced: bool,
    /// How many snapshots it has been missing from.
    absent: u32,
}

/// Bytes of sockets without a known owner.
pub const UNOWNED: ProcessId = ProcessId { pid: 0, start_ticks: 0 };
/// Bytes of processes that found the kernel's map full.
pub const OTHER: ProcessId = ProcessId { pid: 0, start_ticks: 1 };
/// Processes that ended so long ago that only their sum is kept.
pub const ENDED: ProcessId = ProcessId { pid: 0, start_ticks: u32::MAX };

impl ProcessState {
    /// The process's id; `None` for the sums that are no process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        Some(self.process.id.pid).filter(|pid| *pid != 0)
    }

    /// The process's name, or that of the sum.
    #[must_use]
    pub fn name(&self) -> &str {
        match self.process.id {
            UNOWNED => "unowned",
            OTHER => "other",
            ENDED => "ended",
            _ => &self.process.name,
        }
    }

    fn new(process: Process) -> Self {
        Self {
            process,
            rates: Rates::default(),
            history: History::default(),
            container_name: None,
            folded: Bytes::default(),
            traced: false,
            absent: 0,
        }
    }
}

/// Every process that was seen, the long ended ones as sums.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    known: HashMap<ProcessId, ProcessState>,
    containers: HashMap<String, Container>,
    /// What long ended processes moved.
    ended: HashMap<Sum, ProcessState>,
}

/// What the sums of long ended processes keep apart: their container, and whether they were traced.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
struct Sum {
    container: Option<String>,
    traced: bool,
}

impl Processes {
    pub(crate) fn advance(
        &mut self,
        processes: Vec<Process>,
        containers: Vec<Container>,
        elapsed_ns: u64,
        keep: usize,
    ) {
        for container in containers {
            self.containers.insert(container.id.clone(), container);
        }
        for state in self.known.values_mut() {
            state.absent = state.absent.saturating_add(1);
        }
        for process in processes {
            self.take(process, elapsed_ns);
        }
        for state in self.known.values_mut().filter(|state| state.absent > 0) {
            state.rates = Rates::default();
        }
        self.expire(keep);
    }

    /// Marks processes that descend from the command that is traced; the mark stays.
    pub(crate) fn trace(&mut self, ids: &[ProcessId]) {
        for id in ids {
            if let Some(state) = self.known.get_mut(id) {
                state.traced = true;
            }
        }
    }

    pub(crate) fn get(&self, id: ProcessId) -> Option<&ProcessState> {
        self.known.get(&id)
    }

    /// Every process, in no particular order, then the sums of those that are no longer kept.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &ProcessState> {
        self.known.values().chain(self.ended.values())
    }

    /// What each process has counted.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (ProcessId, Bytes)> {
        self.known.values().filter_map(|state| Some((state.process.id, state.process.counted?)))
    }

    /// Forgets what was counted. What has ended is kept at zero, because a source may still know its count.
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

    /// Credits the process with what an ended connection moved.
    pub(crate) fn fold(&mut self, id: ProcessId, bytes: Bytes) {
        let state = match self.known.get_mut(&id) {
            Some(state) => state,
            None => self.ended.entry(Sum::default()).or_insert_with(|| ProcessState::new(nobody(None))),
        };
        state.folded = sum(state.folded, bytes);
    }

    fn take(&mut self, process: Process, elapsed_ns: u64) {
        let container = process.container.as_ref().and_then(|id| self.containers.get(id));
        let container_name = container.and_then(|container| container.name.clone());
        let state = self.known.entry(process.id).or_insert_with(|| {
            // The first reading of a process that began later is a first sight, not a rate.
            ProcessState::new(Process { counted: None, ..process.clone() })
        });
        state.rates = Rates::between(state.process.counted, process.counted, elapsed_ns);
        state.history.push(state.rates);
        // What was known stays known: an ended process has no /proc entry to read it from.
        let before = std::mem::replace(&mut state.process, process);
        let now = &mut state.process;
        now.counted = now.counted.or(before.counted);
        now.user = now.user.take().or(before.user);
        now.command = now.command.take().or(before.command);
        now.container = now.container.take().or(before.container);
        state.container_name = container_name.or(state.container_name.take());
        state.absent = 0;
    }

    /// Folds the longest ended processes once there are twice as many as are kept, so that the work is rare.
    fn expire(&mut self, keep: usize) {
        let mut absent: Vec<(u32, ProcessId)> = self
            .known
            .values()
            .filter(|state| state.absent > 0)
            .map(|state| (state.absent, state.process.id))
            .collect();
        if absent.len() <= keep.saturating_mul(2) {
            return;
        }
        absent.sort_unstable();
        for (_, id) in absent.drain(keep..) {
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
            .entry(Sum { container: container.clone(), traced })
            .or_insert_with(|| ProcessState { traced, ..ProcessState::new(nobody(container)) });
        sums.folded = sum(sums.folded, state.folded);
        if let Some(counted) = state.process.counted {
            sums.process.counted = Some(sum(sums.process.counted.unwrap_or_default(), counted));
        }
        sums.container_name = sums.container_name.take().or(state.container_name);
    }
}

/// The sum of two counts.
#[must_use]
pub fn sum(one: Bytes, other: Bytes) -> Bytes {
    Bytes { rx: one.rx.saturating_add(other.rx), tx: one.tx.saturating_add(other.tx) }
}

fn nobody(container: Option<String>) -> Process {
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
