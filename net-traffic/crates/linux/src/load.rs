//! Loads and attaches the eBPF programs that count.

mod parts;
mod refusal;

use std::{
    collections::HashSet,
    env::consts::ARCH,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::{HashMap, Map, MapError},
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSock, FEntry, FExit, Iter, KProbe, Program, SchedClassifier,
        Xdp,
    },
};
use net_traffic_common::{
    Ancestor, Hierarchy, OTHER, Offsets, ProcessCounters, ProcessKey, UNOWNED, packet::CaptureSettings,
};

use super::{
    bpf::IterLink,
    btf,
    cgroup::{hierarchy, mounted},
    netns::NetNs,
    plan::{self, Attach, Filled, SLOTS, Storage, WIRE_SLOTS},
    wire,
};
use net_traffic_snapshot::Tier;

pub use self::parts::{ArrivalPrograms, Loaded, Sizes, WirePrograms};
pub(super) use self::refusal::chain;
pub use self::refusal::{AttachError, LoadError};

/// The object, built by `cargo xtask build-ebpf`.
pub(super) static OBJECT: &[u8] = aya::include_bytes_aligned!("../bpf/net-traffic.bpf.o");

/// Loads and attaches the best tier that holds, or the one that is wanted; with the programs that watch the
/// interfaces of `netns`, if it is named.
///
/// # Errors
/// When none holds: with every refusal of the last that was tried.
pub fn load(wanted: Tier, sizes: Sizes, netns: Option<&NetNs>) -> Result<Loaded, LoadError> {
    if let Some(reason) = plan::unsupported(wanted, ARCH) {
        return Err(LoadError::Architecture(reason));
    }
    let layout = Layout::of_this_kernel()?;
    let kernel_btf = Btf::from_sys_fs().map_err(|error| LoadError::Maps(error.to_string()))?;
    let mut refused = Vec::new();
    for tiers in plan::rounds(wanted, ARCH) {
        match Round::run(&tiers, &layout, &kernel_btf, sizes, netns)? {
            Ok(loaded) => {
                drop(kernel_btf);
                give_back_memory();
                return Ok(loaded);
            }
            Err(slots) => refused.extend(slots),
        }
    }
    Err(LoadError::Refused(refused))
}

/// The object's maps and programs, none of which counts; `watches`: some of them tell who uses sockets.
pub(super) fn load_for_capture(settings: CaptureSettings, watches: bool) -> Result<Ebpf, LoadError> {
    let layout = if watches { Layout::of_this_kernel()? } else { Layout::default() };
    let most = |entries| if watches { entries } else { 1 };
    EbpfLoader::new()
        .override_global("OFFSETS", &layout.offsets, true)
        .override_global("HIERARCHY", &layout.hierarchy, true)
        .override_global("CAPTURE", &settings, true)
        .map_max_entries("PROCESSES", most(16_384))
        .map_max_entries("FLOWS", most(16_384))
        .map_max_entries("INSIDE", most(8192))
        .map_max_entries("TRANSLATED", most(16_384))
        .map_max_entries("FAMILY", 1)
        .map_max_entries("CLOSED_SOCKETS", 65_536)
        .map_max_entries("OPEN_SOCKETS", 65_536)
        .map_max_entries("SOCKETS_BY_ADDR", 1)
        .map_max_entries("CALLS", 1)
        .map_max_entries("WIRE", 1)
        .map_max_entries("ARRIVALS", 1)
        .map_max_entries("FORWARDED", 1)
        .map_max_entries("FRAGMENTED", 1)
        .load(OBJECT)
        .map_err(|error| LoadError::Maps(chain(&error)))
}

/// The kernel's BTF takes some 30 MB while it is read, which the allocator would keep for the program's life.
fn give_back_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the function takes a number and touches free memory only.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// What the programs are told of this kernel.
#[derive(Default)]
struct Layout {
    offsets: Offsets,
    hierarchy: Hierarchy,
    /// The functions that it has, of those that not every kernel has.
    functions: &'static [&'static str],
}

impl Layout {
    fn of_this_kernel() -> Result<Self, LoadError> {
        let chosen = hierarchy::container_hierarchy();
        let seldom: Vec<_> = plan::SELDOM.iter().map(|(function, _)| *function).collect();
        let btf::Found { offsets, subsystem, functions } = btf::find(chosen.controller, &seldom)?;
        // A controller that the programs cannot find: version 2 it is, which tells less.
        let hierarchy = subsystem.map(|subsystem| Hierarchy { id: chosen.id, subsystem }).unwrap_or_default();
        Ok(Self { offsets: *offsets, hierarchy, functions })
    }
}

/// One trial of a set of tiers that share a storage.
struct Round<'a> {
    bpf: Ebpf,
    kernel_btf: &'a Btf,
    /// Where the interfaces are that are to be watched.
    netns: Option<&'a NetNs>,
    /// Programs that run already: slots share some.
    attached: HashSet<&'static str>,
    /// What was refused, and why: a slot that took it after all would count what another's stand-in counts already.
    refused: Vec<(plan::Program, String)>,
    harvest: Option<IterLink>,
    baseline: Option<IterLink>,
}

impl<'a> Round<'a> {
    fn run(
        tiers: &[Tier],
        layout: &Layout,
        kernel_btf: &'a Btf,
        sizes: Sizes,
        netns: Option<&'a NetNs>,
    ) -> Result<Result<Loaded, Vec<Filled>>, LoadError> {
        let storage = tiers.first().map_or(Storage::InSocket, |tier| Storage::of(*tier));
        let by_address = u32::from(storage == Storage::ByAddress);
        let behind_xdp = u32::from(sizes.arrivals);
        let ancestor = if sizes.descendants > 0 { ancestor()? } else { Ancestor::default() };
        let settings = sizes.capture.unwrap_or_default();
        let mut bpf = EbpfLoader::new()
            .btf(Some(kernel_btf))
            .override_global("OFFSETS", &layout.offsets, true)
            .override_global("CAPTURE", &settings, true)
            .map_max_entries("FLOWS", if sizes.capture.is_some() { 16_384 } else { 1 })
            .map_max_entries("INSIDE", if sizes.capture.is_some() { 8192 } else { 1 })
            .map_max_entries("TRANSLATED", if sizes.capture.is_some() { 16_384 } else { 1 })
            .map_max_entries("LOST", if sizes.capture.is_some() { 1024 } else { 1 })
            .override_global("BY_ADDRESS", &by_address, true)
            .override_global("LOSE_ONE_IN", &sizes.lose_one_in, true)
            .override_global("BEHIND_XDP", &behind_xdp, true)
            .override_global("ANCESTOR", &ancestor, true)
            .override_global("HIERARCHY", &layout.hierarchy, true)
            .map_max_entries("FAMILY", sizes.descendants.max(1))
            .map_max_entries("PROCESSES", sizes.processes)
            .map_max_entries("CLOSED_SOCKETS", sizes.ring_bytes)
            .map_max_entries("OPEN_SOCKETS", sizes.walk_bytes)
            .map_max_entries("SOCKETS_BY_ADDR", if by_address == 1 { sizes.sockets_by_address } else { 1 })
            .map_max_entries("CALLS", if by_address == 1 { 16_384 } else { 1 })
            .map_max_entries("WIRE", if netns.is_some() { sizes.wire } else { 1 })
            .map_max_entries("ARRIVALS", if sizes.arrivals { 1024 } else { 1 })
            .map_max_entries("FORWARDED", if netns.is_some() { 16_384 } else { 1 })
            .map_max_entries("FRAGMENTED", if netns.is_some() { 4096 } else { 1 })
            .load(OBJECT)
            .map_err(|error| LoadError::Maps(chain(&error)))?;
        make_own_rows(&mut bpf).map_err(|error| LoadError::Maps(chain(&error)))?;
        let mut round = Self {
            bpf,
            kernel_btf,
            netns,
            attached: HashSet::new(),
            refused: Vec::new(),
            harvest: None,
            baseline: None,
        };
        let mut slots = Vec::new();
        let descendants = (sizes.descendants > 0).then_some(&plan::DESCENDANTS);
        for slot in SLOTS.iter().chain(plan::needed(layout.functions)).chain(descendants) {
            let filled = plan::fill(slot, tiers, storage, &mut |program| round.attach(program));
            let holds = filled.holds();
            slots.push(filled);
            if !holds {
                return Ok(Err(slots));
            }
        }
        let wire = netns.map(|_| round.wire(tiers, storage, sizes.arrivals)).transpose()?;
        let tier = slots.iter().filter_map(|slot| slot.hook?.tier).max().unwrap_or(Tier::Polling);
        Ok(match (round.harvest, round.baseline) {
            (Some(harvest), Some(baseline)) => {
                Ok(Loaded { bpf: round.bpf, tier, slots, harvest, baseline, wire })
            }
            _ => Err(slots),
        })
    }

    /// Loads the programs that watch interfaces, and tries how they attach.
    fn wire(&mut self, tiers: &[Tier], storage: Storage, arrivals: bool) -> Result<WirePrograms, LoadError> {
        let mut slots = Vec::new();
        let mut programs = Vec::new();
        for slot in WIRE_SLOTS {
            let filled = plan::fill(slot, tiers, storage, &mut |program| self.attach(program));
            programs.push(self.program_of(&filled)?);
            slots.push(filled);
        }
        let arrival =
            arrivals.then(|| plan::fill(&plan::ARRIVAL, tiers, storage, &mut |program| self.attach(program)));
        let arrival =
            arrival.map(|slot| self.program_of(&slot).map(|program| (slot, program))).transpose()?;
        let mut take = |name: &str| {
            self.bpf.take_map(name).ok_or_else(|| LoadError::Maps(format!("the object lacks the map {name}")))
        };
        Ok(WirePrograms {
            slots,
            programs,
            counters: take("WIRE")?,
            addresses: take("OWN_ADDRESSES")?,
            arrivals: match arrival {
                Some((slot, program)) => Some(ArrivalPrograms { slot, program, counters: take("ARRIVALS")? }),
                None => None,
            },
        })
    }

    /// The program of a slot that holds.
    fn program_of(&self, filled: &Filled) -> Result<Option<OwnedFd>, LoadError> {
        let name = filled.hook.and_then(|hook| Some(hook.programs.first()?.name));
        name.map(|name| self.program_fd(name)).transpose().map_err(|error| LoadError::Maps(chain(&error)))
    }

    fn program_fd(&self, name: &str) -> Result<OwnedFd, AttachError> {
        let program = self.bpf.program(name).ok_or(AttachError::NotInObject)?;
        Ok(program.fd()?.as_fd().try_clone_to_owned()?)
    }

    /// Loads and attaches one program, or says why the kernel would not.
    fn attach(&mut self, program: &'static plan::Program) -> Result<(), String> {
        if self.attached.contains(program.name) {
            return Ok(());
        }
        if let Some((_, reason)) = self.refused.iter().find(|(refused, _)| refused == program) {
            return Err(reason.clone());
        }
        if let Err(error) = self.try_attach(program) {
            let reason = chain(&error);
            self.refused.push((*program, reason.clone()));
            return Err(reason);
        }
        self.attached.insert(program.name);
        Ok(())
    }

    fn try_attach(&mut self, program: &'static plan::Program) -> Result<(), AttachError> {
        let btf = self.kernel_btf;
        let loaded = self.bpf.program_mut(program.name).ok_or(AttachError::NotInObject)?;
        match program.attach {
            Attach::Tracepoint(event) => {
                let tracepoint: &mut BtfTracePoint = loaded.try_into()?;
                tracepoint.load(event, btf)?;
                tracepoint.attach()?;
            }
            Attach::Entry(function) => {
                let entry: &mut FEntry = loaded.try_into()?;
                entry.load(function, btf)?;
                entry.attach()?;
            }
            Attach::Exit(function) => {
                let exit: &mut FExit = loaded.try_into()?;
                exit.load(function, btf)?;
                exit.attach()?;
            }
            Attach::Probe(function) | Attach::ReturnProbe(function) => {
                let probe: &mut KProbe = loaded.try_into()?;
                probe.load()?;
                probe.attach(function, 0)?;
            }
            Attach::CgroupRelease | Attach::CgroupCreate => {
                let hook: &mut CgroupSock = loaded.try_into()?;
                hook.load()?;
                hook.attach(File::open(cgroup2_root()?)?, CgroupAttachMode::Single)?;
            }
            Attach::Tcx(crossing) | Attach::Clsact(crossing) => {
                let classifier: &mut SchedClassifier = loaded.try_into()?;
                if classifier.fd().is_err() {
                    classifier.load()?;
                }
                let netns = self.netns.ok_or(AttachError::NotInObject)?;
                let uses_tcx = matches!(program.attach, Attach::Tcx(_));
                wire::prove(netns, classifier.fd()?.as_fd(), crossing, uses_tcx)?;
            }
            Attach::Xdp => {
                let xdp: &mut Xdp = loaded.try_into()?;
                xdp.load()?;
                let netns = self.netns.ok_or(AttachError::NotInObject)?;
                wire::prove_arrivals(netns, xdp.fd()?.as_fd())?;
            }
            Attach::Descriptors => {
                let walk = iterator(loaded, "task_file", btf)?;
                let link = IterLink::attach(walk, None)?;
                link.run()?;
                self.baseline = Some(link);
            }
            Attach::Connections => {
                let link = IterLink::attach(iterator(loaded, "tcp", btf)?, None)?;
                link.run()?;
                let own = NetNs::own().map_or(0, |own| own.inode());
                for netns in NetNs::all().iter().filter(|netns| netns.inode() != own) {
                    // Without the right to enter it, what waits there is seen when somebody takes it.
                    let _walked = netns.run(|| link.run());
                }
            }
            Attach::Map(map) => {
                let target = if map == "SOCKETS" { "bpf_sk_storage_map" } else { "bpf_map_elem" };
                iterator(loaded, target, btf)?;
                let program = self.bpf.program(program.name).ok_or(AttachError::NotInObject)?;
                let map = self.bpf.map(map).ok_or(AttachError::NotInObject)?;
                self.harvest = Some(IterLink::attach(program.fd()?.as_fd(), Some(map_fd(map)?))?);
            }
        }
        Ok(())
    }
}

/// The rows that are no process's, before any program runs: they must find room.
fn make_own_rows(bpf: &mut Ebpf) -> Result<(), MapError> {
    let Some(map) = bpf.map_mut("PROCESSES") else { return Ok(()) };
    let mut rows: HashMap<_, ProcessKey, ProcessCounters> = HashMap::try_from(map)?;
    for row in [UNOWNED, OTHER] {
        rows.insert(row, ProcessCounters::default(), 0)?;
    }
    Ok(())
}

fn iterator<'p>(program: &'p mut Program, target: &str, btf: &Btf) -> Result<BorrowedFd<'p>, AttachError> {
    let iterator: &mut Iter = program.try_into()?;
    iterator.load(target, btf)?;
    Ok(iterator.fd()?.as_fd())
}

/// The descriptor of a map that is walked over, or whose entries are removed.
///
/// # Errors
/// For a type of map of which the object has none such.
pub fn map_fd(map: &Map) -> Result<BorrowedFd<'_>, AttachError> {
    match map {
        Map::SkStorage(data) | Map::HashMap(data) => Ok(data.fd().as_fd()),
        _ => Err(AttachError::NotInObject),
    }
}

/// This process, as the program that runs in it sees it: its PID in its own PID namespace.
fn ancestor() -> Result<Ancestor, LoadError> {
    let namespace = std::fs::metadata("/proc/self/ns/pid")
        .map_err(|error| LoadError::Maps(format!("find the PID namespace: {error}")))?;
    Ok(Ancestor {
        namespace_device: namespace.dev(),
        namespace_inode: namespace.ino(),
        pid: std::process::id(),
        reserved: 0,
    })
}

/// Where the cgroup v2 hierarchy is mounted.
pub(super) fn cgroup2_root() -> io::Result<PathBuf> {
    mounted::version_2()
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted"))
}
