//! The collector that reads the kernel maps: exact bytes per socket and per process, and who owns them.

use std::{collections::HashMap as StdHashMap, io, os::fd::AsFd};

use aya::{
    Ebpf as Programs,
    maps::{HashMap, Map, MapData, MapError, PerCpuArray, RingBuf},
};
use foldhash::{HashSet, HashSetExt};
use net_traffic_common::{
    PROCESS_EXITED, PROCESS_TRACED, ProcessCounters, ProcessKey, SocketRecord, UNOWNED, loss,
};

use super::{
    bpf,
    cgroup::paths::CgroupPaths,
    closed::ClosedSockets,
    interface_accounting::InterfacePrograms,
    kernel_log::KernelLog,
    load::{self, LoadError, LoadOptions, Loaded},
    netns::NetNs,
    plan::Filled,
    platform::host,
    records,
    socket_walk::SocketWalk,
};
use net_traffic_snapshot::{
    CollectError, Collector, Loss, Process, Snapshot, Socket, SocketId, Status, Tier,
};

const NAME: &str = "ebpf";

/// The walks after one that skipped sockets. A socket that the last of them skips is in the next reading.
const MORE_WALKS: usize = 3;

/// The programs that count, and their maps.
pub struct Ebpf {
    programs: Programs,
    socket_walk: SocketWalk,
    /// The number of sockets in the last walk.
    walked: usize,
    /// The walk over the file descriptors: a socket without an owner gets the process that has it open.
    set_owners: bpf::IterLink,
    unowned: Unowned,
    processes: Map,
    cgroups: CgroupPaths,
    loss: PerCpuArray<MapData, u64>,
    log: KernelLog,
    closed: ClosedSockets,
    tier: Tier,
    slots: Vec<Filled>,
    interface_programs: Option<InterfacePrograms>,
    /// The memory of the maps, which does not change. `None` before the first reading.
    map_bytes: Option<u64>,
    /// The rows of ended processes at the last reading.
    ended: StdHashMap<ProcessKey, ProcessCounters>,
}

impl Ebpf {
    /// Loads and attaches the programs: they count when this returns.
    ///
    /// `netns`: the namespace of the interfaces to account for.
    ///
    /// # Errors
    /// When no tier holds, or not the wanted one.
    pub fn start(wanted: Tier, options: LoadOptions, netns: Option<&NetNs>) -> Result<Self, LoadError> {
        let Loaded { mut bpf, tier, slots, sockets, descriptors, interfaces } =
            load::load(wanted, options, netns)?;
        let processes = bpf.take_map("nt_processes").ok_or(LoadError::NoMap("nt_processes"))?;
        let closed = open_map(&mut bpf, "nt_closed_socks", RingBuf::try_from)?;
        let open = open_map(&mut bpf, "nt_open_socks", RingBuf::try_from)?;
        let loss = open_map(&mut bpf, "nt_loss", PerCpuArray::try_from)?;
        let cgroups = open_map(&mut bpf, "nt_cgroup_paths", CgroupPaths::read)?;
        let log = KernelLog::open(&mut bpf).map_err(LoadError::Log)?;
        Ok(Self {
            cgroups,
            socket_walk: SocketWalk::new(sockets, open),
            walked: 0,
            set_owners: descriptors,
            unowned: Unowned::default(),
            processes,
            loss,
            log,
            closed: ClosedSockets::start(closed).map_err(LoadError::Thread)?,
            tier,
            slots,
            interface_programs: interfaces,
            map_bytes: None,
            ended: StdHashMap::new(),
            programs: bpf,
        })
    }

    #[must_use]
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// The programs of the interface accounting. A second call returns `None`.
    pub fn take_interface_programs(&mut self) -> Option<InterfacePrograms> {
        self.interface_programs.take()
    }

    /// The whole object, for the programs of a capture.
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

    /// Reads every socket and adds it to `sockets`. The walk posts the owner's bytes to its row of `PROCESSES`.
    fn read_sockets(&mut self, sockets: &mut Vec<Socket>) -> io::Result<Owners> {
        let mut owners = Owners::default();
        let others = sockets.len();
        // Reserve the last count to avoid reallocation.
        sockets.reserve(self.walked);
        self.socket_walk.read(|record| {
            owners.note(record);
            sockets.extend(records::socket(record));
        })?;
        self.walked = sockets.len() - others;
        Ok(owners)
    }

    /// Reads the rows of processes, and removes those of ended processes that own no socket and have not changed since
    /// the last reading.
    fn read_processes(&mut self, owners: &HashSet<ProcessKey>, snapshot: &mut Snapshot) -> io::Result<()> {
        let mut seen = HashSet::new();
        let mut finished = Vec::new();
        let rows: HashMap<_, ProcessKey, ProcessCounters> =
            HashMap::try_from(&self.processes).map_err(io::Error::other)?;
        for entry in &rows {
            let (key, row) = entry.map_err(io::Error::other)?;
            // The kernel starts over where the last key was removed
            // (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/hashtab.c#L951>).
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

    /// The sums over all loaded programs.
    fn read_programs(&self) -> io::Result<bpf::ProgramStats> {
        let mut sum = bpf::ProgramStats::default();
        for (_name, program) in self.programs.programs() {
            // A program of another tier is not loaded.
            let Ok(fd) = program.fd() else { continue };
            let bpf::ProgramStats { run_time_ns, recursion_misses } = bpf::program_stats(fd.as_fd())?;
            sum.run_time_ns += run_time_ns;
            sum.recursion_misses += recursion_misses;
        }
        Ok(sum)
    }

    /// The program of each slot, and the refusals before it.
    fn status(&self) -> impl Iterator<Item = Status> {
        let tried = self.slots.iter().filter(|filled| filled.hook.is_some() || !filled.refusals.is_empty());
        tried.map(Filled::status)
    }
}

/// The owners of the sockets of one walk.
#[derive(Default)]
struct Owners {
    known: HashSet<ProcessKey>,
    /// The cookies of the sockets without an owner.
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

/// The sockets without an owner, with the number of readings since they were found. No process has sent or received on
/// them by a call that has a hook.
#[derive(Default)]
struct Unowned(StdHashMap<u64, u32>);

impl Unowned {
    /// True: walk over the file descriptors. It is for the first, second, fourth, eighth … reading of a socket: kernel
    /// sockets never get an owner, and a connection may wait long until a process accepts it.
    fn need_search(&mut self, lacking: &[u64]) -> bool {
        let before = std::mem::take(&mut self.0);
        let mut needed = false;
        for &cookie in lacking {
            let readings = before.get(&cookie).copied().unwrap_or(0).saturating_add(1);
            needed |= readings.is_power_of_two();
            self.0.insert(cookie, readings);
        }
        needed
    }
}

/// Takes a map out of the object, with its type.
fn open_map<T>(
    bpf: &mut Programs,
    name: &'static str,
    open: impl FnOnce(Map) -> Result<T, MapError>,
) -> Result<T, LoadError> {
    let map = bpf.take_map(name).ok_or(LoadError::NoMap(name))?;
    open(map).map_err(|cause| LoadError::Map { map: name, cause })
}

impl Collector for Ebpf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let failed = |attempt| move |cause| CollectError { collector: NAME, attempt, cause };
        // Sockets before processes: the walk posts each owner's bytes to its row. Live sockets before closed ones: a
        // socket that is destroyed in between is in both, and its final record counts.
        let others = snapshot.sockets.len();
        let sockets = &mut snapshot.sockets;
        let mut owners = self.read_sockets(sockets).map_err(failed("read the sockets"))?;
        if self.unowned.need_search(&owners.lacking) {
            self.set_owners.run().map_err(failed("find the owners of the sockets"))?;
            // The search takes long on a host with many descriptors. Rates are divided by the time between readings.
            snapshot.at = host::now();
            sockets.truncate(others);
            owners = self.read_sockets(sockets).map_err(failed("read the sockets"))?;
        }
        let mut closed = self.closed.take();
        for _ in 0..MORE_WALKS {
            let rest = self.socket_walk.read_rest(&closed, |record| {
                owners.note(record);
                sockets.extend(records::socket(record));
            });
            if !rest.map_err(failed("read the sockets"))? {
                break;
            }
            // A socket that was destroyed during the walk is in both.
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
            let programs = self.read_programs().map_err(failed("read the run time of the programs"))?;
            snapshot.cost.bpf_run_ns = Some(programs.run_time_ns);
        }
        snapshot.status.extend(self.status());
        snapshot.status.extend(self.log.statuses());
        Ok(())
    }
}
