//! Counts the received frames of interfaces by XDP, before another program can drop them.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use aya::maps::{MapError, PerCpuHashMap};
use net_traffic_common::XdpRxCounters;

use super::programs::XdpRxProgram;
use crate::bpf::{XdpLink, XdpMode};
use crate::netns::NetNs;
use net_traffic_snapshot::{Arrived, Status};

/// The program, its interfaces and their counters.
pub(super) struct XdpRx {
    program: XdpRxProgram,
    /// The names of the chosen interfaces; empty: all.
    chosen: Vec<String>,
    links: BTreeMap<u32, Attached>,
    /// The refusals of each interface that still exists.
    refusals: BTreeMap<u32, Vec<String>>,
}

struct Attached {
    _link: XdpLink,
    mode: XdpMode,
    /// The counters at the first reading, which is also the first of the interface's own counters.
    base: Option<XdpRxCounters>,
}

/// Attaches the program to the loopback interface of the namespace, and detaches it.
///
/// # Errors
/// The kernel's refusal.
pub(super) fn probe_attach(netns: &NetNs, program: BorrowedFd<'_>, loopback: u32) -> io::Result<()> {
    netns.run(|| XdpLink::attach(program, loopback, XdpMode::Generic))?.map(drop)
}

impl XdpRx {
    pub(super) fn new(program: XdpRxProgram, chosen: Vec<String>) -> Self {
        Self { program, chosen, links: BTreeMap::new(), refusals: BTreeMap::new() }
    }

    /// Attaches to an interface: native XDP for hardware whose driver has it, else generic XDP.
    ///
    /// Virtual drivers change how they work for native XDP. veth, for example, turns on NAPI and disables GSO
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/drivers/net/veth.c#L1617>).
    pub(super) fn attach(&mut self, netns: &NetNs, ifindex: u32, name: &str, is_virtual: bool) {
        let Some(program) = &self.program.program else { return };
        if !self.chosen.is_empty() && !self.chosen.iter().any(|chosen| chosen == name) {
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
        let mut rows: PerCpuHashMap<_, u32, XdpRxCounters> =
            PerCpuHashMap::try_from(&mut self.program.counters).map_err(io::Error::other)?;
        match rows.remove(&ifindex) {
            Ok(()) | Err(MapError::KeyNotFound) => Ok(()),
            Err(MapError::SyscallError(error)) if error.io_error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// The frames since the first reading; `None` where the program is not attached.
    pub(super) fn received(&mut self, ifindex: u32) -> io::Result<Option<Arrived>> {
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
        let mut status = self.program.slot.status();
        let refusals = self.refusals.values().flatten().cloned();
        let reasons: Vec<String> = status.reason.take().into_iter().chain(refusals).collect();
        status.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
        status
    }

    /// The sum over all CPUs.
    fn counted(&self, ifindex: u32) -> io::Result<XdpRxCounters> {
        let rows: PerCpuHashMap<_, u32, XdpRxCounters> =
            PerCpuHashMap::try_from(&self.program.counters).map_err(io::Error::other)?;
        let mut sum = XdpRxCounters::default();
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
