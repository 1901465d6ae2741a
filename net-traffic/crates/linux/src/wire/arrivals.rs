//! What interfaces receive before anything can drop it: counted by XDP where that was asked for.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapError, PerCpuHashMap};
use net_traffic_common::ArrivalCounters;

use crate::bpf::{XdpLink, XdpMode};
use crate::load::ArrivalPrograms;
use crate::netns::NetNs;
use net_traffic_snapshot::{Arrived, Status};

/// The program on each interface that takes it.
pub(super) struct Arrivals {
    programs: ArrivalPrograms,
    /// The interfaces that are wanted; none: all.
    wanted: Vec<String>,
    links: BTreeMap<u32, Attached>,
    /// What each interface refused, while it is there.
    refusals: BTreeMap<u32, Vec<String>>,
}

struct Attached {
    _link: XdpLink,
    mode: XdpMode,
    /// What had arrived when it was first read, which is when the interface's own counters were.
    base: Option<ArrivalCounters>,
}

/// Whether the program attaches to the loopback interface of the namespace; it does not stay there.
///
/// # Errors
/// The kernel's refusal.
pub(in super::super) fn prove(netns: &NetNs, program: BorrowedFd<'_>, loopback: u32) -> io::Result<()> {
    netns.run(|| XdpLink::attach(program, loopback, XdpMode::Generic))?.map(drop)
}

impl Arrivals {
    pub(super) fn new(programs: ArrivalPrograms, wanted: Vec<String>) -> Self {
        Self { programs, wanted, links: BTreeMap::new(), refusals: BTreeMap::new() }
    }

    /// Attaches to an interface: in its driver if it is hardware and the driver can, else at the beginning of the
    /// stack. Virtual interfaces would change how they work for a program in their driver.
    pub(super) fn watch(&mut self, netns: &NetNs, ifindex: u32, name: &str, is_virtual: bool) {
        let Some(program) = &self.programs.program else { return };
        if !self.wanted.is_empty() && !self.wanted.iter().any(|wanted| wanted == name) {
            return;
        }
        let modes = if is_virtual { &[XdpMode::Generic][..] } else { &[XdpMode::Driver, XdpMode::Generic] };
        for &mode in modes {
            let attached = netns.run(|| XdpLink::attach(program.as_fd(), ifindex, mode));
            match attached.and_then(std::convert::identity) {
                Ok(link) => {
                    self.links.insert(ifindex, Attached { _link: link, mode, base: None });
                    return;
                }
                Err(refusal) => {
                    let refusals = self.refusals.entry(ifindex).or_default();
                    refusals.push(format!("{name}, {}: {refusal}", mode_name(mode)));
                }
            }
        }
    }

    pub(super) fn forget(&mut self, ifindex: u32) -> io::Result<()> {
        self.links.remove(&ifindex);
        self.refusals.remove(&ifindex);
        let mut rows: PerCpuHashMap<_, u32, ArrivalCounters> =
            PerCpuHashMap::try_from(&mut self.programs.counters).map_err(io::Error::other)?;
        match rows.remove(&ifindex) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// What has arrived since this was asked first; `None` where the program is not attached.
    pub(super) fn of(&mut self, ifindex: u32) -> io::Result<Option<Arrived>> {
        let now = self.counted(ifindex)?;
        let Some(attached) = self.links.get_mut(&ifindex) else { return Ok(None) };
        let base = *attached.base.get_or_insert(now);
        Ok(Some(Arrived {
            packets: now.packets.saturating_sub(base.packets),
            bytes: now.bytes.saturating_sub(base.bytes),
            native: attached.mode == XdpMode::Driver,
        }))
    }

    pub(super) fn status(&self) -> Status {
        let mut status = self.programs.slot.status();
        let refusals = self.refusals.values().flatten().cloned();
        let reasons: Vec<String> = status.reason.take().into_iter().chain(refusals).collect();
        status.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        status
    }

    /// Over all CPUs.
    fn counted(&self, ifindex: u32) -> io::Result<ArrivalCounters> {
        let rows: PerCpuHashMap<_, u32, ArrivalCounters> =
            PerCpuHashMap::try_from(&self.programs.counters).map_err(io::Error::other)?;
        let mut sum = ArrivalCounters::default();
        match rows.get(&ifindex, 0) {
            Ok(cpus) => cpus.iter().for_each(|row| {
                sum.packets += row.packets;
                sum.bytes += row.bytes;
            }),
            Err(MapError::KeyNotFound) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        Ok(sum)
    }
}

fn mode_name(mode: XdpMode) -> &'static str {
    match mode {
        XdpMode::Driver => "native",
        XdpMode::Generic => "generic",
    }
}
