//! The only place that loads and attaches eBPF programs.

use std::{
    collections::HashSet,
    fs::File,
    io,
    os::fd::{AsFd, BorrowedFd},
    path::PathBuf,
};

use aya::{
    Btf, Ebpf, EbpfLoader,
    maps::Map,
    programs::{
        BtfTracePoint, CgroupAttachMode, CgroupSock, FEntry, FExit, Iter, KProbe, Program, ProgramError,
    },
};
use net_traffic_common::{Offsets, packet::CaptureSettings};

use super::{
    bpf::IterLink,
    btf::{self, BtfError},
    plan::{self, Attach, Filled, SLOTS, Storage},
};
use crate::source::Tier;

/// The object, built by `cargo xtask build-ebpf`.
static OBJECT: &[u8] = aya::include_bytes_aligned!("../../../bpf/net-traffic.bpf.o");

/// Sizes that a test may shrink.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub processes: u32,
    pub sockets_by_address: u32,
    pub ring_bytes: u32,
    /// Packets are captured, in this way.
    pub capture: Option<CaptureSettings>,
}

impl Default for Sizes {
    fn default() -> Self {
        Self { processes: 16_384, sockets_by_address: 131_072, ring_bytes: 4 << 20, capture: None }
    }
}

/// Programs that run, and how they came to.
pub struct Loaded {
    pub bpf: Ebpf,
    pub tier: Tier,
    pub slots: Vec<Filled>,
    pub harvest: IterLink,
    pub baseline: IterLink,
}

/// Why no tier holds.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error(transparent)]
    Btf(#[from] BtfError),
    #[error("load the eBPF maps: {0}")]
    Maps(String),
    /// No tier could fill each slot that it must; the refusals of the best one.
    #[error("attach: {}", summary(.0))]
    Refused(Vec<Filled>),
}

fn summary(slots: &[Filled]) -> String {
    let refusals = slots.iter().filter(|slot| !slot.holds()).flat_map(|slot| &slot.refusals);
    let mut reasons: Vec<String> = refusals.map(|r| format!("{}: {}", r.program, r.reason)).collect();
    reasons.dedup();
    reasons.join("; ")
}

/// Loads and attaches the best tier that holds, or the one that is wanted.
///
/// # Errors
/// When none holds: with every refusal of the last that was tried.
pub fn load(wanted: Tier, sizes: Sizes) -> Result<Loaded, LoadError> {
    let offsets = btf::offsets()?;
    let kernel_btf = Btf::from_sys_fs().map_err(|error| LoadError::Maps(error.to_string()))?;
    let mut refused = Vec::new();
    for tiers in plan::rounds(wanted) {
        match Round::run(&tiers, &offsets, &kernel_btf, sizes)? {
            Ok(loaded) => return Ok(loaded),
            Err(slots) => refused.extend(slots),
        }
    }
    Err(LoadError::Refused(refused))
}

/// The object's maps and programs, none of which counts.
///
/// # Errors
/// When the kernel refuses the maps.
pub(super) fn load_for_capture(settings: CaptureSettings) -> Result<Ebpf, LoadError> {
    EbpfLoader::new()
        .override_global("CAPTURE", &settings, true)
        .map_max_entries("PROCESSES", 1)
        .map_max_entries("CLOSED_SOCKETS", 65_536)
        .map_max_entries("SOCKETS_BY_ADDR", 1)
        .map_max_entries("CALLS", 1)
        .map_max_entries("FLOWS", 1)
        .load(OBJECT)
        .map_err(|error| LoadError::Maps(chain(&error)))
}

/// One trial of a set of tiers that share a storage.
struct Round<'a> {
    bpf: Ebpf,
    kernel_btf: &'a Btf,
    /// Programs that run already: slots share some.
    attached: HashSet<&'static str>,
    harvest: Option<IterLink>,
    baseline: Option<IterLink>,
}

impl<'a> Round<'a> {
    fn run(
        tiers: &[Tier],
        offsets: &Offsets,
        kernel_btf: &'a Btf,
        sizes: Sizes,
    ) -> Result<Result<Loaded, Vec<Filled>>, LoadError> {
        let storage = tiers.first().map_or(Storage::InSocket, |tier| Storage::of(*tier));
        let by_address = u32::from(storage == Storage::ByAddress);
        let settings = sizes.capture.unwrap_or_default();
        let bpf = EbpfLoader::new()
            .btf(Some(kernel_btf))
            .override_global("OFFSETS", offsets, true)
            .override_global("CAPTURE", &settings, true)
            .map_max_entries("FLOWS", if sizes.capture.is_some() { 16_384 } else { 1 })
            .override_global("BY_ADDRESS", &by_address, true)
            .map_max_entries("PROCESSES", sizes.processes)
            .map_max_entries("CLOSED_SOCKETS", sizes.ring_bytes)
            .map_max_entries("SOCKETS_BY_ADDR", if by_address == 1 { sizes.sockets_by_address } else { 1 })
            .map_max_entries("CALLS", if by_address == 1 { 16_384 } else { 1 })
            .load(OBJECT)
            .map_err(|error| LoadError::Maps(chain(&error)))?;
        let mut round = Self { bpf, kernel_btf, attached: HashSet::new(), harvest: None, baseline: None };
        let mut slots = Vec::new();
        for slot in SLOTS {
            let filled = plan::fill(slot, tiers, storage, &mut |program| round.attach(program));
            let holds = filled.holds();
            slots.push(filled);
            if !holds {
                return Ok(Err(slots));
            }
        }
        let tier = slots.iter().filter_map(|slot| slot.hook?.tier).max().unwrap_or(Tier::Polling);
        Ok(match (round.harvest, round.baseline) {
            (Some(harvest), Some(baseline)) => Ok(Loaded { bpf: round.bpf, tier, slots, harvest, baseline }),
            _ => Err(slots),
        })
    }

    /// Loads and attaches one program, or says why the kernel would not.
    fn attach(&mut self, program: &'static plan::Program) -> Result<(), String> {
        if self.attached.contains(program.name) {
            return Ok(());
        }
        self.try_attach(program).map_err(|error| chain(&error))?;
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
            Attach::Descriptors => {
                let walk = iterator(loaded, "task_file", btf)?;
                let link = IterLink::attach(walk, None)?;
                link.run()?;
                self.baseline = Some(link);
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

/// Where the cgroup v2 hierarchy is mounted.
pub(super) fn cgroup2_root() -> io::Result<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts")?;
    mounts
        .lines()
        .map(|line| line.split(' '))
        .find_map(|mut fields| {
            let (_device, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
            (kind == "cgroup2").then(|| PathBuf::from(path))
        })
        .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no cgroup v2 hierarchy is mounted"))
}

/// Why one program does not run.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    #[error("the object lacks it")]
    NotInObject,
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// An error with its causes, on one line, without the verifier's log.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = String::new();
    let mut next = Some(error);
    while let Some(error) = next {
        let line = error.to_string();
        let line = line.lines().next().unwrap_or_default().trim_end_matches(':');
        if !text.ends_with(line) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(line);
        }
        next = error.source();
    }
    text
}
