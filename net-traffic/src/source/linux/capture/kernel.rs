//! What runs in the kernel: the filters, what keeps the packets, and what knows whose they are.

use std::collections::HashMap as StdHashMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::Btf;
use aya::maps::{HashMap, Map, ProgramArray};
use aya::programs::{BtfTracePoint, CgroupAttachMode, CgroupSock, Iter, SchedClassifier};
use net_traffic_common::packet::{
    CHOOSE_CGROUP, CHOOSE_NAME, CHOOSE_PID, CHOSEN_WITH_CHILDREN, CaptureSettings, next as stage,
};

use super::counters::Counters;
use super::owners::Owners;
use super::program::{self, ProgramError};
use super::ring::{self, Ring};
use crate::filter::LinkType as FilterLink;
use crate::filter::ebpf::Lowering;
use crate::packet::format::LinkType;
use crate::snapshot::Snapshot;
use crate::source::capture::{LiveCaptureOptions, filter_link, names};
use crate::source::linux::bpf::IterLink;
use crate::source::linux::ebpf::Ebpf;
use crate::source::linux::load::{self, LoadError, Sizes, cgroup2_root, chain};
use crate::source::linux::plan::Crossing;
use crate::source::{Collector, Tier};

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum KernelError {
    #[error(transparent)]
    Program(#[from] ProgramError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("{attempt}: {cause}")]
    Refused { attempt: &'static str, cause: String },
}

pub(super) struct Kernel {
    programs: Programs,
    /// Why there are no owners.
    without_owners: Option<String>,
    /// By link type and direction.
    filters: StdHashMap<(FilterLink, bool), OwnedFd>,
    pub(super) counters: Counters,
    chosen_pids: Map,
    chosen_cgroups: Map,
    /// The kernel forgets the programs in it with the last descriptor.
    _next: Map,
    _rings: Map,
}

/// The object, and whether it counts, too.
enum Programs {
    Counting(Box<Ebpf>),
    Bare(Box<aya::Ebpf>),
}

impl Kernel {
    /// Loads everything; nothing is attached to an interface yet.
    pub(super) fn start(
        options: &LiveCaptureOptions,
        expression: &str,
        optimize: bool,
        owners: &mut Owners,
    ) -> Result<(Self, Vec<Ring>), KernelError> {
        // What is wrong with the filter is said before anything is loaded.
        let names = names();
        let compile = |link| program::compile(expression, link, options.snaplen, &names, optimize);
        let mut compiled = vec![(FilterLink::Ethernet, compile(FilterLink::Ethernet)?)];
        // An expression about Ethernet has no meaning on interfaces without it.
        compiled.extend(compile(FilterLink::RawIp).ok().map(|program| (FilterLink::RawIp, program)));
        let (mut programs, without_owners) = load_object(options)?;
        let object = programs.object();
        let mut next = take(object, "NEXT")?;
        let mut stages = ProgramArray::try_from(&mut next).map_err(|error| refused("NEXT", &error))?;
        for (name, place) in [("keep_in", stage::KEEP_IN), ("keep_out", stage::KEEP_OUT)] {
            let keep = classifier(object, name)?;
            keep.load().map_err(|error| refused("load the capture", &error))?;
            let fd = keep.fd().map_err(|error| refused("load the capture", &error))?;
            stages.set(place, fd, 0).map_err(|error| refused("chain the capture", &error))?;
        }
        let mut filters = StdHashMap::new();
        let Map::ProgramArray(data) = &next else {
            return Err(refused("NEXT", &"it is another type of map"));
        };
        let stages_fd = data.fd().as_fd();
        for (link, program) in &compiled {
            let incoming = program::load(program, Lowering::TcIngress, stages_fd, stage::KEEP_IN)?;
            let outgoing = program::load(program, Lowering::TcEgress, stages_fd, stage::KEEP_OUT)?;
            filters.insert((*link, true), incoming);
            filters.insert((*link, false), outgoing);
        }
        let (rings_map, rings) = make_rings(object, options.ring_kib)?;
        let counters = Counters::new(take(object, "CAPTURED")?, take(object, "LOST")?)
            .map_err(|error| refused("count packets", &error))?;
        let (chosen_pids, chosen_cgroups) = (take(object, "CHOSEN_PIDS")?, take(object, "CHOSEN_CGROUPS")?);
        let mut it = Self {
            programs,
            without_owners,
            filters,
            counters,
            chosen_pids,
            chosen_cgroups,
            _next: next,
            _rings: rings_map,
        };
        if options.owners && it.without_owners.is_none() {
            it.watch_owners()
                .map_err(|cause| KernelError::Refused { attempt: "find the owners of packets", cause })?;
        }
        it.choose(options, owners)?;
        Ok((it, rings))
    }

    /// The filter of a link type, for one direction.
    pub(super) fn filter(&self, link: LinkType, crossing: Crossing) -> io::Result<BorrowedFd<'_>> {
        let link = filter_link(link).ok_or(io::ErrorKind::Unsupported)?;
        let filter = self.filters.get(&(link, crossing == Crossing::In));
        filter
            .map(AsFd::as_fd)
            .ok_or_else(|| io::Error::other("the filter has no meaning on this kind of interface"))
    }

    pub(super) fn without_owners(&self) -> Option<&str> {
        self.without_owners.as_deref()
    }

    pub(super) fn accounting(&self) -> Option<&Ebpf> {
        match &self.programs {
            Programs::Counting(ebpf) => Some(ebpf),
            Programs::Bare(_) => None,
        }
    }

    pub(super) fn choose_with_children(&mut self, pid: u32) -> io::Result<()> {
        self.choose_pid(pid, CHOSEN_WITH_CHILDREN)
    }

    pub(super) fn forget(&mut self, pid: u32) -> io::Result<()> {
        let mut chosen: HashMap<_, u32, u32> =
            HashMap::try_from(&mut self.chosen_pids).map_err(io::Error::other)?;
        chosen.remove(&pid).map_err(io::Error::other)
    }

    pub(super) fn choose_cgroups(&mut self, cgroups: &[u64]) {
        let Ok(mut chosen) = HashMap::<_, u64, u32>::try_from(&mut self.chosen_cgroups) else { return };
        for cgroup in cgroups {
            // When the map is full, more are not chosen.
            let _chosen = chosen.insert(cgroup, 1, 0);
        }
    }

    /// Lets the accounting forget the processes that have ended.
    pub(super) fn tidy(&mut self) {
        if let Programs::Counting(ebpf) = &mut self.programs {
            // What it reads is not needed; it may fail once.
            let _read = ebpf.collect(&mut Snapshot::default());
        }
    }

    fn choose_pid(&mut self, pid: u32, flags: u32) -> io::Result<()> {
        let mut chosen: HashMap<_, u32, u32> =
            HashMap::try_from(&mut self.chosen_pids).map_err(io::Error::other)?;
        chosen.insert(pid, flags, 0).map_err(io::Error::other)
    }

    fn choose(&mut self, options: &LiveCaptureOptions, owners: &mut Owners) -> Result<(), KernelError> {
        for pid in &options.choice.pids {
            self.choose_pid(*pid, 0).map_err(|error| refused("choose the process", &error))?;
        }
        if let Some(container) = &options.choice.container {
            let cgroups = owners.cgroups_of(container);
            self.choose_cgroups(&cgroups);
        }
        Ok(())
    }

    /// Sockets that are there get their holders, those to come their makers.
    fn watch_owners(&mut self) -> Result<(), String> {
        let object = self.programs.object();
        let btf = Btf::from_sys_fs().map_err(|error| chain(&error))?;
        let text = |error: &dyn std::error::Error| chain(error);
        let creator: &mut CgroupSock = object
            .program_mut("creator_cgroup")
            .ok_or("no program")?
            .try_into()
            .map_err(|error| text(&error))?;
        creator.load().map_err(|error| text(&error))?;
        let root = cgroup2_root().and_then(std::fs::File::open).map_err(|error| text(&error))?;
        creator.attach(root, CgroupAttachMode::Single).map_err(|error| text(&error))?;
        let holders: &mut Iter =
            object.program_mut("holders").ok_or("no program")?.try_into().map_err(|error| text(&error))?;
        holders.load("task_file", &btf).map_err(|error| text(&error))?;
        let fd = holders.fd().map_err(|error| text(&error))?;
        IterLink::attach(fd.as_fd(), None).and_then(|link| link.run()).map_err(|error| text(&error))?;
        let fork: &mut BtfTracePoint = object
            .program_mut("chosen_fork_tp")
            .ok_or("no program")?
            .try_into()
            .map_err(|error| text(&error))?;
        fork.load("sched_process_fork", &btf).map_err(|error| text(&error))?;
        fork.attach().map_err(|error| text(&error))?;
        Ok(())
    }
}

impl Programs {
    fn object(&mut self) -> &mut aya::Ebpf {
        match self {
            Self::Counting(ebpf) => ebpf.programs_mut(),
            Self::Bare(object) => object,
        }
    }
}

/// With the accounting, which knows whose sockets they are; without it if the kernel refuses that, and nobody is chosen.
fn load_object(options: &LiveCaptureOptions) -> Result<(Programs, Option<String>), KernelError> {
    let settings = settings(options);
    if options.owners {
        let sizes = Sizes { capture: Some(settings), ..Sizes::default() };
        match Ebpf::start(Tier::Auto, sizes, None) {
            Ok(ebpf) => return Ok((Programs::Counting(Box::new(ebpf)), None)),
            Err(error) if settings.choose != 0 => return Err(error.into()),
            Err(error) => {
                let bare = load::load_for_capture(CaptureSettings { owners: 0, ..settings })?;
                return Ok((Programs::Bare(Box::new(bare)), Some(error.to_string())));
            }
        }
    }
    let bare = load::load_for_capture(CaptureSettings { owners: 0, ..settings })?;
    Ok((Programs::Bare(Box::new(bare)), None))
}

fn settings(options: &LiveCaptureOptions) -> CaptureSettings {
    let choice = &options.choice;
    let mut name = [0; 16];
    if let Some(wanted) = &choice.process {
        // The kernel keeps fifteen octets of a name.
        let wanted = wanted.as_bytes();
        let length = wanted.len().min(15);
        name[..length].copy_from_slice(&wanted[..length]);
    }
    let flag = |is_chosen: bool, flag| if is_chosen { flag } else { 0 };
    CaptureSettings {
        snaplen: options.snaplen,
        choose: flag(!choice.pids.is_empty() || choice.command, CHOOSE_PID)
            | flag(choice.process.is_some(), CHOOSE_NAME)
            | flag(choice.container.is_some(), CHOOSE_CGROUP),
        name,
        wake_bytes: ring_bytes(options.ring_kib) / 4,
        owners: u32::from(options.owners),
    }
}

/// A power of two of whole pages.
fn ring_bytes(kib: u32) -> u32 {
    kib.saturating_mul(1024).max(4096).checked_next_power_of_two().unwrap_or(1 << 31)
}

/// A ring for each CPU that there may be.
fn make_rings(object: &mut aya::Ebpf, kib: u32) -> Result<(Map, Vec<Ring>), KernelError> {
    let count = aya::util::nr_cpus()
        .map_err(|(what, error)| refused("count the CPUs", &format!("{what}: {error}")))?;
    let map = take(object, "RINGS")?;
    let Map::ArrayOfMaps(data) = &map else {
        return Err(refused("RINGS", &"it is another type of map"));
    };
    let mut rings = Vec::new();
    for cpu in 0..u32::try_from(count).unwrap_or(0) {
        let ring = Ring::new(ring_bytes(kib)).map_err(|error| refused("make the rings", &error))?;
        ring::put(data.fd().as_fd(), cpu, &ring).map_err(|error| refused("make the rings", &error))?;
        rings.push(ring);
    }
    Ok((map, rings))
}

fn classifier<'o>(
    object: &'o mut aya::Ebpf,
    name: &'static str,
) -> Result<&'o mut SchedClassifier, KernelError> {
    let program = object.program_mut(name).ok_or_else(|| refused(name, &"the object lacks it"))?;
    program.try_into().map_err(|error: aya::programs::ProgramError| refused(name, &error))
}

fn take(object: &mut aya::Ebpf, name: &'static str) -> Result<Map, KernelError> {
    object.take_map(name).ok_or_else(|| refused(name, &"the object lacks it"))
}

fn refused(attempt: &'static str, cause: &dyn std::fmt::Display) -> KernelError {
    KernelError::Refused { attempt, cause: cause.to_string() }
}
