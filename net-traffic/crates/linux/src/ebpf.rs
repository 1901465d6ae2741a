//! The collector that reads the kernel maps: exact bytes per socket and per process, and who owns them.

use std::{collections::HashMap as StdHashMap, io, os::fd::AsFd};

use aya::{
    Ebpf as Programs,
    maps::{HashMap, Map, MapData, PerCpuArray, RingBuf},
};
use foldhash::{HashSet, HashSetExt};
use net_traffic_common::{
    PROCESS_EXITED, PROCESS_TRACED, ProcessCounters, ProcessKey, SocketRecord, UNOWNED, loss,
};

use super::{
    bpf,
    cgroup::paths::CgroupPaths,
    closed::ClosedSockets,
    harvest::Harvest,
    kernel_log::KernelLog,
    load::{self, LoadError, Loaded, Sizes, WirePrograms},
    netns::NetNs,
    plan::Filled,
    platform::host,
    records,
};
use net_traffic_snapshot::{
    CollectError, Collector, Loss, Process, Snapshot, Socket, SocketId, Status, Tier,
};

const NAME: &str = "ebpf";

/// A walk that passed over sockets is repeated so often; what is missing then is in the next reading.
const MORE_WALKS: usize = 3;

/// Programs that count, and what was read of them.
pub struct Ebpf {
    programs: Programs,
    harvest: Harvest,
    /// How many sockets it gave last.
    walked: usize,
    /// Gives the sockets without an owner to whoever holds them.
    adopt: bpf::IterLink,
    orphans: Orphans,
    processes: Map,
    cgroups: CgroupPaths,
    loss: PerCpuArray<MapData, u64>,
    log: KernelLog,
    closed: ClosedSockets,
    tier: Tier,
    slots: Vec<Filled>,
    wire: Option<WirePrograms>,
    /// What the maps take, which is known once they are made; `None` until somebody asks.
    map_bytes: Option<u64>,
    /// Rows of processes that have ended, as they were last reported.
    ended: StdHashMap<ProcessKey, ProcessCounters>,
}

impl Ebpf {
    /// Loads and attaches the programs: counting begins when this returns.
    ///
    /// `netns`: the namespace whose interfaces are to be watched, if any.
    ///
    /// # Errors
    /// When no tier holds, or not the one that is wanted.
    pub fn start(wanted: Tier, sizes: Sizes, netns: Option<&NetNs>) -> Result<Self, LoadError> {
        let Loaded { mut bpf, tier, slots, harvest, baseline, wire } = load::load(wanted, sizes, netns)?;
        let missing = |error: &dyn std::fmt::Display| LoadError::Maps(error.to_string());
        let mut take = |name: &str| {
            bpf.take_map(name).ok_or_else(|| LoadError::Maps(format!("the object lacks the map {name}")))
        };
        let processes = take("PROCESSES")?;
        let ring = RingBuf::try_from(take("CLOSED_SOCKETS")?).map_err(|error| missing(&error))?;
        let open = RingBuf::try_from(take("OPEN_SOCKETS")?).map_err(|error| missing(&error))?;
        let loss = PerCpuArray::try_from(take("LOSS")?).map_err(|error| missing(&error))?;
        let cgroups = CgroupPaths::read(take("CGROUP_PATHS")?).map_err(|error| missing(&error))?;
        let log = KernelLog::open(&mut bpf).map_err(|error| missing(&error))?;
        Ok(Self {
            cgroups,
            harvest: Harvest::new(harvest, open),
            walked: 0,
            adopt: baseline,
            orphans: Orphans::default(),
            processes,
            loss,
            log,
            closed: ClosedSockets::start(ring).map_err(|error| missing(&error))?,
            tier,
            slots,
            wire,
            map_bytes: None,
            ended: StdHashMap::new(),
            programs: bpf,
        })
    }

    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The programs that count what crosses the interfaces, once, if they were asked for.
    pub fn take_wire(&mut self) -> Option<WirePrograms> {
        self.wire.take()
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

    pub(super) fn cgroup_path(&mut self, id: u64) -> Option<String> {
        self.cgroups.of(id)
    }

    /// Reads every socket, which settles what its owner moved, and adds it to `sockets`.
    fn read_sockets(&mut self, sockets: &mut Vec<Socket>) -> io::Result<Owners> {
        let mut owners = Owners::default();
        let others = sockets.len();
        // About as many as last time: memory that grows is copied.
        sockets.reserve(self.walked);
        self.harvest.read(|record| {
            owners.note(record);
            sockets.extend(records::socket(record));
        })?;
        self.walked = sockets.len() - others;
        Ok(owners)
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
            let cgroup = self.cgroups.of(row.cgroup);
            snapshot.processes.push(Process { cgroup, ..records::process(key, &row) });
            if row.flags & PROCESS_TRACED != 0 {
                snapshot.traced.push(records::process_id(key));
            }
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
        Ok(Loss {
            map_full: cause(loss::MAP_FULL)?,
            map_busy: cause(loss::MAP_BUSY)?,
            storage_failed: cause(loss::STORAGE_FAILED)?,
            ring_full: cause(loss::RING_FULL)?,
            queue_full: self.closed.refused(),
            missed_hooks: self.read_programs()?.recursion_misses + cause(loss::MISSED_RETURN)?,
        })
    }

    /// The statistics of all programs that run, added up.
    fn read_programs(&self) -> io::Result<bpf::ProgramStats> {
        let mut sum = bpf::ProgramStats::default();
        for (_name, program) in self.programs.programs() {
            // A program of a tier that is not in use was never loaded.
            let Ok(fd) = program.fd() else { continue };
            let bpf::ProgramStats { run_time_ns, recursion_misses } = bpf::program_stats(fd.as_fd())?;
            sum.run_time_ns += run_time_ns;
            sum.recursion_misses += recursion_misses;
        }
        Ok(sum)
    }

    /// What fills each slot, and what was refused before it.
    fn status(&self) -> impl Iterator<Item = Status> {
        let tried = self.slots.iter().filter(|filled| filled.hook.is_some() || !filled.refusals.is_empty());
        tried.map(Filled::status)
    }
}

/// Who owns the sockets of one walk.
#[derive(Default)]
struct Owners {
    known: HashSet<ProcessKey>,
    /// The cookies of the sockets that have none.
    lacking: Vec<u64>,
}

impl Owners {
    fn note(&mut self, record: &SocketRecord) {
        if record.owner == UNOWNED {
            self.lacking.push(record.cookie);
        } else {
            self.known.insert(record.owner);
        }
    }
}

/// Sockets that have no owner, by how many readings found none: nobody has sent or received on them yet, or by calls
/// that no hook sees.
#[derive(Default)]
struct Orphans(StdHashMap<u64, u32>);

impl Orphans {
    /// Whether there are some for whose holder it is worth to look: less and less often, since the kernel's own sockets
    /// are held by nobody, and a connection may wait for long to be accepted.
    fn found_new(&mut self, lacking: &[u64]) -> bool {
        let before = std::mem::take(&mut self.0);
        let mut worth = false;
        for &cookie in lacking {
            let readings = before.get(&cookie).copied().unwrap_or(0).saturating_add(1);
            worth |= readings.is_power_of_two();
            self.0.insert(cookie, readings);
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
        let others = snapshot.sockets.len();
        let sockets = &mut snapshot.sockets;
        let mut owners = self.read_sockets(sockets).map_err(failed("read the sockets"))?;
        if self.orphans.found_new(&owners.lacking) {
            self.adopt.run().map_err(failed("find who holds the sockets"))?;
            // The search takes long where there are many descriptors, and rates are of the time between readings.
            snapshot.at = host::now();
            sockets.truncate(others);
            owners = self.read_sockets(sockets).map_err(failed("read the sockets"))?;
        }
        let mut closed = self.closed.take();
        for _ in 0..MORE_WALKS {
            let rest = self.harvest.read_rest(&closed, |record| {
                owners.note(record);
                sockets.extend(records::socket(record));
            });
            if !rest.map_err(failed("read the sockets"))? {
                break;
            }
            // Who ended during that is in both.
            closed.extend(self.closed.take());
        }
        if !closed.is_empty() {
            let gone: HashSet<SocketId> = closed.iter().map(|record| SocketId(record.cookie)).collect();
            sockets.retain(|socket| !gone.contains(&socket.id));
            sockets.extend(closed.iter().filter_map(records::socket));
        }
        self.read_processes(&owners.known, snapshot).map_err(failed("read the processes"))?;
        snapshot.loss = self.read_loss().map_err(failed("read the loss ledger"))?;
        self.map_bytes = self.map_bytes.or_else(|| bpf::map_bytes().ok());
        snapshot.cost.map_bytes = self.map_bytes;
        if bpf::measures_run_time() {
            let programs = self.read_programs().map_err(failed("read what the programs cost"))?;
            snapshot.cost.bpf_run_ns = Some(programs.run_time_ns);
        }
        snapshot.status.extend(self.status());
        snapshot.status.extend(self.log.statuses());
        Ok(())
    }
}
