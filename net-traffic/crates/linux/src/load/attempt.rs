//! One attempt to run a set of tiers that share a storage.

use std::collections::HashMap as StdHashMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use aya::maps::{HashMap, Map, MapError};
use aya::{Btf, Ebpf};
use net_traffic_common::{OTHER, ProcessCounters, ProcessKey, UNOWNED};
use net_traffic_snapshot::Tier;

use super::attach::Attacher;
use super::object::{self, Constants};
use super::{LoadError, LoadOptions, Loaded};
use crate::btf::KernelBtf;
use crate::interface_accounting::{InterfacePrograms, XdpRxProgram};
use crate::netns::NetNs;
use crate::plan::{self, Attempt, Filled, INTERFACE_SLOTS, MapUse, SLOTS, Slot, Storage};

/// What one attempt loads.
pub(super) struct TierAttempt<'a> {
    pub(super) tiers: &'a [Tier],
    pub(super) kernel: &'a KernelBtf,
    pub(super) constants: &'a Constants,
    pub(super) options: LoadOptions,
    pub(super) netns: Option<&'a NetNs>,
}

pub(super) enum Outcome {
    Holds(Box<Loaded>),
    /// A required slot stays empty; the slots up to it.
    Refused(Vec<Filled>),
}

impl TierAttempt<'_> {
    pub(super) fn run(&self, btf: &Btf) -> Result<Outcome, LoadError> {
        let Self { tiers, kernel, constants, options, netns } = *self;
        let storage = tiers.first().map_or(Storage::InSocket, |tier| Storage::of(*tier));
        let usage = MapUse { options, storage: Some(storage), interfaces: netns.is_some(), owners: true };
        let mut bpf = object::open(constants, &usage)?;
        make_own_rows(&mut bpf).map_err(|cause| LoadError::Map { map: "nt_processes", cause })?;
        let attacher = Attacher { bpf, btf, netns, sockets: None, descriptors: None };
        let mut slot_filler = Filler { attacher, tiers, storage, tried: StdHashMap::new() };
        let mut slots = Vec::new();
        let optional = plan::optional_slots(|function| kernel.has_function(function));
        let descendants = (options.descendants > 0).then_some(&plan::DESCENDANTS);
        for slot in SLOTS.iter().chain(optional).chain(descendants) {
            let filled = slot_filler.fill(slot);
            let holds = filled.holds();
            slots.push(filled);
            if !holds {
                return Ok(Outcome::Refused(slots));
            }
        }
        let interfaces = netns.map(|_| slot_filler.interface_programs(options.xdp_rx)).transpose()?;
        let Attacher { bpf, sockets, descriptors, .. } = slot_filler.attacher;
        let tier = slots.iter().filter_map(|slot| slot.hook?.tier).max().unwrap_or(Tier::Polling);
        Ok(match (sockets, descriptors) {
            (Some(sockets), Some(descriptors)) => {
                Outcome::Holds(Box::new(Loaded { bpf, tier, slots, sockets, descriptors, interfaces }))
            }
            _ => Outcome::Refused(slots),
        })
    }
}

/// Fills slots, and tries each program once.
struct Filler<'a> {
    attacher: Attacher<'a>,
    tiers: &'a [Tier],
    storage: Storage,
    /// The answers of the kernel. A refused program is never tried again: its fallback already counts the same bytes.
    tried: StdHashMap<plan::Program, Attempt>,
}

impl Filler<'_> {
    fn fill(&mut self, slot: &'static Slot) -> Filled {
        let Self { attacher, tiers, storage, tried } = self;
        plan::fill(slot, tiers, *storage, &mut |program| {
            let attempt = || {
                attacher
                    .attach(program)
                    .map_err(|error| Arc::new(error) as Arc<dyn std::error::Error + Send + Sync>)
            };
            tried.entry(*program).or_insert_with(attempt).clone()
        })
    }

    /// Loads the programs of the interface accounting, and probes their attach points.
    fn interface_programs(&mut self, with_xdp: bool) -> Result<InterfacePrograms, LoadError> {
        let mut slots = Vec::new();
        let mut programs = Vec::new();
        for slot in INTERFACE_SLOTS {
            let filled = self.fill(slot);
            programs.push(self.program_of(&filled)?);
            slots.push(filled);
        }
        let xdp_rx = if with_xdp {
            let slot = self.fill(&plan::XDP_RX);
            let program = self.program_of(&slot)?;
            Some(XdpRxProgram { slot, program, counters: self.take_map("nt_xdp_rx_bytes")? })
        } else {
            None
        };
        let (counters, addresses) = (self.take_map("nt_iface_bytes")?, self.take_map("nt_own_macs")?);
        Ok(InterfacePrograms { slots, programs, counters, addresses, xdp_rx })
    }

    /// The program of a slot; `None` for an empty slot.
    fn program_of(&self, filled: &Filled) -> Result<Option<OwnedFd>, LoadError> {
        let name = filled.hook.and_then(|hook| Some(hook.programs.first()?.name));
        name.map(|name| self.attacher.program_fd(name)).transpose().map_err(LoadError::Program)
    }

    fn take_map(&mut self, name: &'static str) -> Result<Map, LoadError> {
        self.attacher.bpf.take_map(name).ok_or(LoadError::NoMap(name))
    }
}

/// Inserts the rows that belong to no process. They must have room before any program runs.
fn make_own_rows(bpf: &mut Ebpf) -> Result<(), MapError> {
    let Some(map) = bpf.map_mut("nt_processes") else { return Ok(()) };
    let mut rows: HashMap<_, ProcessKey, ProcessCounters> = HashMap::try_from(map)?;
    for row in [UNOWNED, OTHER] {
        rows.insert(row, ProcessCounters::default(), 0)?;
    }
    Ok(())
}
