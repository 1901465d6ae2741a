//! Loads the capture's eBPF programs: the filters, the programs that write packets to the rings, and the programs that
//! find the owners of packets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{Map, ProgramArray};
use aya::programs::{
    BtfTracePoint, CgroupAttachMode, CgroupSock, Iter, Program, ProgramError, SchedClassifier, Xdp,
};
use net_traffic_common::packet::{CaptureSettings, OWNERS_FROM_COUNTERS, tail_call as stage};
use net_traffic_common::{ProcessCounters, ProcessKey};

use super::choice::{self, ChosenProcesses, settings};
use super::counters::Counters;
use super::filters::{Filters, HookPoint};
use super::interfaces::CaptureInterface;
use super::netns_addresses::AddressMaps;
use super::owner_tracker::{OwnerTracker, TrackError};
use super::program::ProgramError as FilterProgramError;
use super::ring::{self, Ring};
use crate::bpf::IterLink;
use crate::ebpf::Ebpf;
use crate::error_chain::chain;
use crate::load::{self, LoadError, LoadOptions, cgroup2_root};
use net_traffic_capture::{LiveCaptureOptions, names};
use net_traffic_snapshot::Snapshot;
use net_traffic_snapshot::{Collector, Tier};

/// Why the programs cannot be loaded.
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
    /// The reason why packets have no owners.
    without_owners: Option<String>,
    pub(super) filters: Filters,
    pub(super) counters: Counters,
    pub(super) chosen: ChosenProcesses,
    /// The maps of addresses in peer namespaces, until they are taken.
    address_maps: Option<AddressMaps>,
    /// The map of translated flows, until it is taken.
    translation_map: Option<Map>,
    /// The programs that filters tail-call. The kernel clears the map when its last descriptor is closed
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/arraymap.c#L994>).
    stages: Map,
    _rings: Map,
}

/// The loaded object, by the way of finding owners.
enum Programs {
    /// Tracepoints store the owner in each socket.
    Tracking(Box<OwnerTracker>),
    /// The byte counters of sockets have the owner. For kernels that refuse the tracepoints, with the refusal.
    Counting(Box<Ebpf>, String),
    /// Without owners.
    Bare(Box<aya::Ebpf>),
}

impl Kernel {
    /// Loads the programs and attaches none to an interface. `cgroups`: those of the chosen container.
    pub(super) fn start(
        options: &LiveCaptureOptions,
        expression: &str,
        optimize: bool,
        cgroups: &[u64],
    ) -> Result<(Self, Vec<Ring>), KernelError> {
        // An invalid filter is reported before any program is loaded.
        let filters = Filters::new(expression, options.snaplen, optimize, names())?;
        let uid = user(options)?;
        let settings = settings(options, uid, ring_bytes(options.ring_kib) / 4);
        let (mut programs, without_owners) = load_object(settings)?;
        let object = programs.object();
        let stages = if options.xdp { load_xdp_stages(object)? } else { load_stack_stages(object)? };
        let (rings_map, rings) = make_rings(object, options.ring_kib)?;
        let counters = Counters::new(take(object, "nt_captured")?, take(object, "nt_lost_packets")?)
            .map_err(|error| refused("count packets", &error))?;
        let chosen = ChosenProcesses::new(take(object, "nt_filter_pids")?, take(object, "nt_filter_cgrps")?);
        let address_maps = Some(AddressMaps {
            nsid_by_address: take(object, "nt_addr_netns")?,
            is_used: take(object, "nt_peers_known")?,
        });
        let translation_map = Some(take(object, "nt_nat_flows")?);
        let mut it = Self {
            programs,
            without_owners,
            filters,
            counters,
            chosen,
            address_maps,
            translation_map,
            stages,
            _rings: rings_map,
        };
        if options.owners && it.without_owners.is_none() {
            it.track_owners().map_err(|error| refused("find the owners of packets", &chain(&error)))?;
        }
        it.choose(options, cgroups)?;
        Ok((it, rings))
    }

    /// The filter of an interface for a hook point.
    pub(super) fn filter(&mut self, found: &CaptureInterface, hook: HookPoint) -> io::Result<BorrowedFd<'_>> {
        let Map::ProgramArray(stages) = &self.stages else { return Err(io::ErrorKind::InvalidData.into()) };
        self.filters.load(found, hook, stages.fd().as_fd())
    }

    /// The program that records the senders of packets on a port without a capture.
    pub(super) fn learner(&mut self) -> io::Result<BorrowedFd<'_>> {
        let learner: &mut SchedClassifier =
            program(self.programs.object(), "nt_cache_owner").map_err(io::Error::other)?;
        if learner.fd().is_err() {
            learner.load().map_err(io::Error::other)?;
        }
        Ok(learner.fd().map_err(io::Error::other)?.as_fd())
    }

    /// The maps of addresses in peer namespaces; `None` after the first call.
    pub(super) fn take_address_maps(&mut self) -> Option<AddressMaps> {
        self.address_maps.take()
    }

    /// Whether the map of translated flows has not been taken.
    pub(super) fn has_translation_map(&self) -> bool {
        self.translation_map.is_some()
    }

    /// The map of translated flows; `None` after the first call.
    pub(super) fn take_translation_map(&mut self) -> Option<Map> {
        self.translation_map.take()
    }

    pub(super) fn without_owners(&self) -> Option<&str> {
        self.without_owners.as_deref()
    }

    /// The refusal of the tracepoints, if the byte counters find the owners.
    pub(super) fn counts_because(&self) -> Option<&str> {
        match &self.programs {
            Programs::Counting(_, reason) => Some(reason),
            Programs::Tracking(_) | Programs::Bare(_) => None,
        }
    }

    /// The programs' row of a process.
    pub(super) fn process(&self, key: ProcessKey) -> Option<ProcessCounters> {
        match &self.programs {
            Programs::Tracking(tracker) => tracker.process(key),
            Programs::Counting(ebpf, _) => ebpf.process(key),
            Programs::Bare(_) => None,
        }
    }

    /// The path of a cgroup, also of a removed one.
    pub(super) fn cgroup_path(&mut self, id: u64) -> Option<String> {
        match &mut self.programs {
            Programs::Tracking(tracker) => tracker.cgroup_path(id),
            Programs::Counting(ebpf, _) => ebpf.cgroup_path(id),
            Programs::Bare(_) => None,
        }
    }

    /// Removes the rows of ended processes.
    pub(super) fn gc(&mut self) {
        match &mut self.programs {
            Programs::Tracking(tracker) => tracker.gc(),
            Programs::Counting(ebpf, _) => {
                // The snapshot is not used, and the next call repeats a failed one.
                let _read = ebpf.collect(&mut Snapshot::default());
            }
            Programs::Bare(_) => {}
        }
    }

    fn choose(&mut self, options: &LiveCaptureOptions, cgroups: &[u64]) -> Result<(), KernelError> {
        for pid in &options.choice.pids {
            self.chosen.add(*pid).map_err(|error| refused("choose the process", &error))?;
        }
        self.chosen.add_cgroups(cgroups);
        Ok(())
    }

    /// Stores the owner in every existing socket, and the creator in every new one.
    fn track_owners(&mut self) -> Result<(), TrackError> {
        let object = self.programs.object();
        let btf = load::kernel_btf()?;
        // Before the walk over existing sockets, so that no new socket is missed.
        let creator: &mut CgroupSock =
            object.program_mut("nt_creator_cg").ok_or(TrackError::MissingProgram)?.try_into()?;
        creator.load()?;
        let root = cgroup2_root().and_then(std::fs::File::open)?;
        creator.attach(root, CgroupAttachMode::Single)?;
        let owners: &mut Iter =
            object.program_mut("nt_fd_owners").ok_or(TrackError::MissingProgram)?.try_into()?;
        owners.load("task_file", &btf)?;
        IterLink::attach(owners.fd()?.as_fd(), None).and_then(|link| link.run())?;
        let fork: &mut BtfTracePoint =
            object.program_mut("nt_cap_fork_tp").ok_or(TrackError::MissingProgram)?.try_into()?;
        fork.load("sched_process_fork", &btf)?;
        fork.attach()?;
        Ok(())
    }
}

impl Programs {
    fn object(&mut self) -> &mut aya::Ebpf {
        match self {
            Self::Tracking(tracker) => &mut tracker.object,
            Self::Counting(ebpf, _) => ebpf.programs_mut(),
            Self::Bare(object) => object,
        }
    }
}

/// Loads the object with the best way of finding owners that the kernel grants. Without a way it is an error only if the
/// user has chosen processes.
fn load_object(settings: CaptureSettings) -> Result<(Programs, Option<String>), KernelError> {
    if settings.owners == 0 {
        return Ok((Programs::Bare(Box::new(load::load_for_capture(settings, false)?)), None));
    }
    let btf = load::kernel_btf().map_err(TrackError::from);
    let reason = match btf.and_then(|btf| OwnerTracker::start(settings, &btf)) {
        Ok(tracker) => return Ok((Programs::Tracking(Box::new(tracker)), None)),
        Err(error) => chain(&error),
    };
    let settings = CaptureSettings { owners: OWNERS_FROM_COUNTERS, ..settings };
    let options = LoadOptions { capture: Some(settings), ..LoadOptions::default() };
    match Ebpf::start(Tier::Auto, options, None) {
        Ok(ebpf) => Ok((Programs::Counting(Box::new(ebpf), reason), None)),
        Err(error) if settings.process_filter != 0 => Err(error.into()),
        Err(error) => {
            let settings = CaptureSettings { owners: 0, ..settings };
            let bare = load::load_for_capture(settings, false)?;
            Ok((Programs::Bare(Box::new(bare)), Some(chain(&error))))
        }
    }
}

fn user(options: &LiveCaptureOptions) -> Result<Option<u32>, KernelError> {
    let Some(name) = &options.choice.user else { return Ok(None) };
    choice::user(name).map(Some).ok_or_else(|| KernelError::NoUser(name.clone()))
}

/// Loads the programs that filters in traffic control tail-call.
fn load_stack_stages(object: &mut aya::Ebpf) -> Result<Map, KernelError> {
    let mut map = take(object, "nt_tail_calls")?;
    let mut stages = ProgramArray::try_from(&mut map).map_err(|error| refused("nt_tail_calls", &error))?;
    for (name, index) in [("nt_capture_in", stage::CAPTURE_IN), ("nt_capture_out", stage::CAPTURE_OUT)] {
        let keep: &mut SchedClassifier = program(object, name)?;
        keep.load().map_err(|error| refused("load the capture", &error))?;
        let fd = keep.fd().map_err(|error| refused("load the capture", &error))?;
        stages.set(index, fd, 0).map_err(|error| refused("chain the capture", &error))?;
    }
    Ok(map)
}

/// Loads the program that XDP filters tail-call.
fn load_xdp_stages(object: &mut aya::Ebpf) -> Result<Map, KernelError> {
    let mut map = take(object, "nt_tail_xdp")?;
    let mut stages = ProgramArray::try_from(&mut map).map_err(|error| refused("nt_tail_xdp", &error))?;
    let keep: &mut Xdp = program(object, "nt_capture_xdp")?;
    keep.load().map_err(|error| refused("load the capture for XDP", &error))?;
    let fd = keep.fd().map_err(|error| refused("load the capture for XDP", &error))?;
    stages.set(stage::CAPTURE_XDP, fd, 0).map_err(|error| refused("chain the capture", &error))?;
    Ok(map)
}

/// The size of a ring: a power of two, and a multiple of the page size.
fn ring_bytes(kib: u32) -> u32 {
    kib.saturating_mul(1024).max(4096).checked_next_power_of_two().unwrap_or(1 << 31)
}

/// Creates a ring for each possible CPU.
fn make_rings(object: &mut aya::Ebpf, kib: u32) -> Result<(Map, Vec<Ring>), KernelError> {
    let count = aya::util::nr_cpus()
        .map_err(|(what, error)| refused("count the CPUs", &format!("{what}: {error}")))?;
    let map = take(object, "nt_rings")?;
    let Map::ArrayOfMaps(data) = &map else {
        return Err(refused("nt_rings", &"the map has another type"));
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
