//! What runs in the kernel: the filters, what keeps the packets, and what knows whose they are.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::Btf;
use aya::maps::{Map, ProgramArray};
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSock, Iter, Program, ProgramError, SchedClassifier, Xdp,
};
use net_traffic_common::packet::{CaptureSettings, OWNERS_COUNTED, next as stage};
use net_traffic_common::{ProcessCounters, ProcessKey};

use super::choice::{self, Chosen, settings};
use super::counters::Counters;
use super::filters::{Filters, Place};
use super::inside::Maps;
use super::interfaces::Found;
use super::program::ProgramError as FilterProgramError;
use super::ring::{self, Ring};
use super::watching::Watching;
use crate::bpf::IterLink;
use crate::ebpf::Ebpf;
use crate::load::{self, LoadError, Sizes, cgroup2_root, chain};
use net_traffic_capture::{LiveCaptureOptions, names};
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{Collector, Tier};

/// What the kernel refused.
#[derive(Debug, thiserror::Error)]
pub(super) enum KernelError {
    #[error(transparent)]
    Program(#[from] FilterProgramError),
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("--uid {0}: there is no such user")]
    NoUser(String),
    #[error("{attempt}: {cause}")]
    Refused { attempt: &'static str, cause: String },
}

pub(super) struct Kernel {
    programs: Programs,
    /// Why there are no owners.
    without_owners: Option<String>,
    pub(super) filters: Filters,
    pub(super) counters: Counters,
    pub(super) chosen: Chosen,
    /// What says what is behind interfaces, until it is taken.
    inside: Option<Maps>,
    /// What says which flows are translated, until it is taken.
    translated: Option<Map>,
    /// What filters call. The kernel forgets the programs in it with the last descriptor.
    next: Map,
    _rings: Map,
}

/// The object, and how it knows whose packets are.
enum Programs {
    Watching(Box<Watching>),
    /// By the accounting, which kernels can do that have no tracepoints for it; and why not by the former.
    Counting(Box<Ebpf>, String),
    Bare(Box<aya::Ebpf>),
}

impl Kernel {
    /// Loads everything; nothing is attached to an interface yet. `cgroups`: of the container that is wanted, if one is.
    pub(super) fn start(
        options: &LiveCaptureOptions,
        expression: &str,
        optimize: bool,
        cgroups: &[u64],
    ) -> Result<(Self, Vec<Ring>), KernelError> {
        // What is wrong with the filter is said before anything is loaded.
        let filters = Filters::new(expression, options.snaplen, optimize, names())?;
        let uid = user(options)?;
        let settings = settings(options, uid, ring_bytes(options.ring_kib) / 4);
        let (mut programs, without_owners) = load_object(settings)?;
        let object = programs.object();
        let next = if options.xdp { chain_arrival(object)? } else { chain_stack(object)? };
        let (rings_map, rings) = make_rings(object, options.ring_kib)?;
        let counters = Counters::new(take(object, "CAPTURED")?, take(object, "LOST")?)
            .map_err(|error| refused("count packets", &error))?;
        let chosen = Chosen::new(take(object, "CHOSEN_PIDS")?, take(object, "CHOSEN_CGROUPS")?);
        let inside = Some(Maps { inside: take(object, "INSIDE")?, behind: take(object, "BEHIND")? });
        let translated = Some(take(object, "TRANSLATED")?);
        let mut it = Self {
            programs,
            without_owners,
            filters,
            counters,
            chosen,
            inside,
            translated,
            next,
            _rings: rings_map,
        };
        if options.owners && it.without_owners.is_none() {
            it.watch_owners()
                .map_err(|cause| KernelError::Refused { attempt: "find the owners of packets", cause })?;
        }
        it.choose(options, cgroups)?;
        Ok((it, rings))
    }

    /// The filter of an interface, for one place.
    pub(super) fn filter(&mut self, found: &Found, place: Place) -> io::Result<BorrowedFd<'_>> {
        let Map::ProgramArray(stages) = &self.next else { return Err(io::ErrorKind::InvalidData.into()) };
        self.filters.load(found, place, stages.fd().as_fd())
    }

    /// What learns whose packets are, where they are not captured.
    pub(super) fn learner(&mut self) -> io::Result<BorrowedFd<'_>> {
        let learner: &mut SchedClassifier =
            program(self.programs.object(), "learn_in").map_err(io::Error::other)?;
        if learner.fd().is_err() {
            learner.load().map_err(io::Error::other)?;
        }
        Ok(learner.fd().map_err(io::Error::other)?.as_fd())
    }

    /// What says where the addresses behind interfaces are.
    pub(super) fn take_inside(&mut self) -> Option<Maps> {
        self.inside.take()
    }

    /// Whether that which says what flows are translated was not taken yet.
    pub(super) fn has_translated(&self) -> bool {
        self.translated.is_some()
    }

    /// What says which flows are translated.
    pub(super) fn take_translated(&mut self) -> Option<Map> {
        self.translated.take()
    }

    pub(super) fn without_owners(&self) -> Option<&str> {
        self.without_owners.as_deref()
    }

    /// Why it is the accounting that knows the owners, if it is.
    pub(super) fn counts_because(&self) -> Option<&str> {
        match &self.programs {
            Programs::Counting(_, reason) => Some(reason),
            Programs::Watching(_) | Programs::Bare(_) => None,
        }
    }

    /// What the programs know of a process.
    pub(super) fn process(&self, key: ProcessKey) -> Option<ProcessCounters> {
        match &self.programs {
            Programs::Watching(watching) => watching.process(key),
            Programs::Counting(ebpf, _) => ebpf.process(key),
            Programs::Bare(_) => None,
        }
    }

    /// The path of a cgroup, also of one that is gone.
    pub(super) fn cgroup_path(&mut self, id: u64) -> Option<String> {
        match &mut self.programs {
            Programs::Watching(watching) => watching.cgroup_path(id),
            Programs::Counting(ebpf, _) => ebpf.cgroup_path(id),
            Programs::Bare(_) => None,
        }
    }

    /// Forgets the processes that have ended.
    pub(super) fn tidy(&mut self) {
        match &mut self.programs {
            Programs::Watching(watching) => watching.tidy(),
            Programs::Counting(ebpf, _) => {
                // What it reads is not needed; it may fail once.
                let _read = ebpf.collect(&mut Snapshot::default());
            }
            Programs::Bare(_) => {}
        }
    }

    fn choose(&mut self, options: &LiveCaptureOptions, cgroups: &[u64]) -> Result<(), KernelError> {
        for pid in &options.choice.pids {
            self.chosen.pid(*pid).map_err(|error| refused("choose the process", &error))?;
        }
        self.chosen.cgroups(cgroups);
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
            Self::Watching(watching) => &mut watching.object,
            Self::Counting(ebpf, _) => ebpf.programs_mut(),
            Self::Bare(object) => object,
        }
    }
}

/// With what knows whose sockets are; without it if the kernel refuses that, and nobody is chosen.
fn load_object(settings: CaptureSettings) -> Result<(Programs, Option<String>), KernelError> {
    if settings.owners == 0 {
        return Ok((Programs::Bare(Box::new(load::load_for_capture(settings, false)?)), None));
    }
    let btf = Btf::from_sys_fs().map_err(|error| chain(&error));
    let reason = match btf.and_then(|btf| Watching::start(settings, &btf)) {
        Ok(watching) => return Ok((Programs::Watching(Box::new(watching)), None)),
        Err(reason) => reason,
    };
    let settings = CaptureSettings { owners: OWNERS_COUNTED, ..settings };
    let sizes = Sizes { capture: Some(settings), ..Sizes::default() };
    match Ebpf::start(Tier::Auto, sizes, None) {
        Ok(ebpf) => Ok((Programs::Counting(Box::new(ebpf), reason), None)),
        Err(error) if settings.choose != 0 => Err(error.into()),
        Err(error) => {
            let settings = CaptureSettings { owners: 0, ..settings };
            let bare = load::load_for_capture(settings, false)?;
            Ok((Programs::Bare(Box::new(bare)), Some(error.to_string())))
        }
    }
}

fn user(options: &LiveCaptureOptions) -> Result<Option<u32>, KernelError> {
    let Some(name) = &options.choice.user else { return Ok(None) };
    choice::user(name).map(Some).ok_or_else(|| KernelError::NoUser(name.clone()))
}

/// What follows a filter where the stack has packets.
fn chain_stack(object: &mut aya::Ebpf) -> Result<Map, KernelError> {
    let mut next = take(object, "NEXT")?;
    let mut stages = ProgramArray::try_from(&mut next).map_err(|error| refused("NEXT", &error))?;
    for (name, place) in [("keep_in", stage::KEEP_IN), ("keep_out", stage::KEEP_OUT)] {
        let keep: &mut SchedClassifier = program(object, name)?;
        keep.load().map_err(|error| refused("load the capture", &error))?;
        let fd = keep.fd().map_err(|error| refused("load the capture", &error))?;
        stages.set(place, fd, 0).map_err(|error| refused("chain the capture", &error))?;
    }
    Ok(next)
}

/// What follows one where frames arrive.
fn chain_arrival(object: &mut aya::Ebpf) -> Result<Map, KernelError> {
    let mut next = take(object, "NEXT_XDP")?;
    let mut stages = ProgramArray::try_from(&mut next).map_err(|error| refused("NEXT_XDP", &error))?;
    let keep: &mut Xdp = program(object, "keep_xdp")?;
    keep.load().map_err(|error| refused("load the capture for XDP", &error))?;
    let fd = keep.fd().map_err(|error| refused("load the capture for XDP", &error))?;
    stages.set(stage::KEEP_XDP, fd, 0).map_err(|error| refused("chain the capture", &error))?;
    Ok(next)
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

fn program<'o, P>(object: &'o mut aya::Ebpf, name: &'static str) -> Result<&'o mut P, KernelError>
where
    &'o mut P: TryFrom<&'o mut Program, Error = ProgramError>,
{
    let program = object.program_mut(name).ok_or_else(|| refused(name, &"the object lacks it"))?;
    program.try_into().map_err(|error| refused(name, &error))
}

fn take(object: &mut aya::Ebpf, name: &'static str) -> Result<Map, KernelError> {
    object.take_map(name).ok_or_else(|| refused(name, &"the object lacks it"))
}

fn refused(attempt: &'static str, cause: &dyn std::fmt::Display) -> KernelError {
    KernelError::Refused { attempt, cause: cause.to_string() }
}
