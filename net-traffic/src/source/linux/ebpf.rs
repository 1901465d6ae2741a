//! The collector that reads the kernel maps: exact bytes per socket and per process, and who owns them.

use std::{
    collections::{HashMap as StdHashMap, HashSet},
    io::{self, Read},
};

use aya::{
    Ebpf as Programs,
    maps::{HashMap, Map, MapData, PerCpuArray, RingBuf},
};
use net_traffic_common::{OTHER, PROCESS_EXITED, ProcessCounters, ProcessKey, SocketRecord, UNOWNED, loss};

use super::{
    bpf,
    closed::ClosedSockets,
    load::{self, LoadError, Loaded, Sizes},
    plan::Filled,
    records,
};
use crate::{
    snapshot::{Loss, Snapshot, Status},
    source::{CollectError, Collector, Tier},
};

const NAME: &str = "ebpf";

/// Programs that count, and what was read of them.
pub struct Ebpf {
    programs: Programs,
    harvest: bpf::IterLink,
    /// Gives the sockets without an owner to whoever holds them.
    adopt: bpf::IterLink,
    orphans: Orphans,
    processes: Map,
    loss: PerCpuArray<MapData, u64>,
    closed: ClosedSockets,
    tier: Tier,
    slots: Vec<Filled>,
    map_bytes: u64,
    /// Rows of processes that have ended, as they were last reported.
    ended: StdHashMap<ProcessKey, ProcessCounters>,
    /// What one walk over the sockets gave; kept for its memory.
    buffer: Vec<u8>,
}

impl Ebpf {
    /// Loads and attaches the programs: counting begins when this returns.
    ///
    /// # Errors
    /// When no tier holds, or not the one that is wanted.
    pub fn start(wanted: Tier, sizes: Sizes) -> Result<Self, LoadError> {
        let Loaded { mut bpf, tier, slots, harvest, baseline } = load::load(wanted, sizes)?;
        let missing = |error: &dyn std::fmt::Display| LoadError::Maps(error.to_string());
        let mut take = |name: &str| {
            bpf.take_map(name).ok_or_else(|| LoadError::Maps(format!("the object lacks the map {name}")))
        };
        let mut processes = take("PROCESSES")?;
        let mut rows: HashMap<_, ProcessKey, ProcessCounters> =
            HashMap::try_from(&mut processes).map_err(|error| missing(&error))?;
        for row in [UNOWNED, OTHER] {
            rows.insert(row, ProcessCounters::default(), 0).map_err(|error| missing(&error))?;
        }
        let ring = RingBuf::try_from(take("CLOSED_SOCKETS")?).map_err(|error| missing(&error))?;
        let loss = PerCpuArray::try_from(take("LOSS")?).map_err(|error| missing(&error))?;
        Ok(Self {
            harvest,
            adopt: baseline,
            orphans: Orphans::default(),
            processes,
            loss,
            closed: ClosedSockets::start(ring).map_err(|error| missing(&error))?,
            tier,
            slots,
            map_bytes: u64::from(sizes.processes) * 96 + u64::from(sizes.ring_bytes),
            ended: StdHashMap::new(),
            buffer: Vec::new(),
            programs: bpf,
        })
    }

    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The whole object, for programs that do not count.
    pub(super) fn programs_mut(&mut self) -> &mut Programs {
        &mut self.programs
    }

    /// The row of a process, if it has one.
    pub(super) fn process(&self, key: ProcessKey) -> Option<ProcessCounters> {
        let rows: HashMap<_, ProcessKey, ProcessCounters> = HashMap::try_from(&self.processes).ok()?;
        rows.get(&key, 0).ok()
    }

    /// Reads every socket's record, which settles what its owner moved.
    fn read_sockets(&mut self) -> io::Result<Vec<SocketRecord>> {
        self.buffer.clear();
        self.harvest.walk()?.read_to_end(&mut self.buffer)?;
        Ok(self.buffer.chunks_exact(size_of::<SocketRecord>()).filter_map(records::read_record).collect())
    }

    /// Reads the rows of processes, and removes those that can gain nothing any more.
    fn read_processes(&mut self, owners: &HashSet<ProcessKey>, snapshot: &mut Snapshot) -> io::Result<()> {
        let mut seen = HashSet::new();
        let mut finished = Vec::new();
        let rows: HashMap<_, ProcessKey, ProcessCounters> =
            HashMap::try_from(&self.processes).map_err(io::Error::other)?;
        for entry in &rows {
            let (key, row) = entry.map_err(io::Error::other)?;
            // The walk starts over when the entry it stands on is removed.
            if !seen.insert(key) {
                continue;
            }
            snapshot.processes.push(records::process(key, &row));
            let can_gain = row.flags & PROCESS_EXITED == 0 || owners.contains(&key);
            if !can_gain && self.ended.insert(key, row) == Some(row) {
                finished.push(key);
            }
        }
        for key in finished {
            self.ended.remove(&key);
            let map = load::map_fd(&self.processes).map_err(io::Error::other)?;
            bpf::lookup_and_delete(map, &key, ProcessCounters::default())?;
        }
        Ok(())
    }

    fn read_loss(&self) -> io::Result<Loss> {
        let cause = |index| -> io::Result<u64> {
            Ok(self.loss.get(&index, 0).map_err(io::Error::other)?.iter().sum())
        };
        let mut missed_hooks = 0;
        for (_name, program) in self.programs.programs() {
            if let Ok(fd) = program.fd() {
                use std::os::fd::AsFd;
                missed_hooks += bpf::program_stats(fd.as_fd())?.recursion_misses;
            }
        }
        Ok(Loss {
            map_full: cause(loss::MAP_FULL)?,
            map_busy: cause(loss::MAP_BUSY)?,
            storage_failed: cause(loss::STORAGE_FAILED)?,
            ring_full: cause(loss::RING_FULL)?,
            queue_full: self.closed.refused(),
            missed_hooks,
        })
    }

    /// What fills each slot, and what was refused before it.
    fn status(&self) -> impl Iterator<Item = Status> {
        let tried = self.slots.iter().filter(|filled| filled.hook.is_some() || !filled.refusals.is_empty());
        tried.map(|filled| {
            let refusals: Vec<String> =
                filled.refusals.iter().map(|r| format!("{}: {}", r.program, r.reason)).collect();
            let program = filled.hook.and_then(|hook| hook.programs.first());
            Status {
                slot: filled.slot.name.into(),
                tier: program.map(|program| program.attach.mechanism().into()),
                program: program.map(|program| program.name.into()),
                covers: program.map(|_| filled.slot.covers.into()),
                reason: (!refusals.is_empty()).then(|| refusals.join("; ")),
                remedy: None,
            }
        })
    }
}

/// Sockets that moved bytes and have no owner, by how often one was looked for.
#[derive(Default)]
struct Orphans(StdHashMap<u64, u8>);

impl Orphans {
    /// The kernel's own sockets are held by nobody: they are looked for in vain, and not for ever.
    const SEARCHES: u8 = 2;

    /// Whether there are some for whose holder it is worth to look.
    fn found_new(&mut self, live: &[SocketRecord]) -> bool {
        let before = std::mem::take(&mut self.0);
        let without_owner = live.iter().filter(|socket| socket.owner == UNOWNED);
        let mut worth = false;
        for socket in without_owner.filter(|socket| socket.rx_bytes | socket.tx_bytes != 0) {
            let searches = before.get(&socket.cookie).copied().unwrap_or(0);
            worth |= searches < Self::SEARCHES;
            self.0.insert(socket.cookie, searches.saturating_add(1));
        }
        worth
    }
}

impl Collector for Ebpf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let failed = |attempt| move |cause| CollectError { collector: NAME, attempt, cause };
        // Live sockets first: one that is destroyed meanwhile is in both, and its final record counts.
        let mut live = self.read_sockets().map_err(failed("read the sockets"))?;
        if self.orphans.found_new(&live) {
            self.adopt.run().map_err(failed("find who holds the sockets"))?;
            live = self.read_sockets().map_err(failed("read the sockets"))?;
        }
        let closed = self.closed.take();
        let gone: HashSet<u64> = closed.iter().map(|record| record.cookie).collect();
        let owners = live.iter().map(|record| record.owner).collect();
        let live = live.iter().filter(|record| !gone.contains(&record.cookie));
        snapshot.sockets.extend(live.chain(&closed).filter_map(records::socket));
        self.read_processes(&owners, snapshot).map_err(failed("read the processes"))?;
        snapshot.loss = self.read_loss().map_err(failed("read the loss ledger"))?;
        snapshot.cost.map_bytes = Some(self.map_bytes);
        snapshot.status.extend(self.status());
        Ok(())
    }
}
