//! The collector of the bytes that cross each interface, by owner.
//!
//! It keeps the programs attached to every interface of one network namespace, and reads their counters beside the
//! interface's own.

pub(super) mod attachment;
mod bpf_set_mirror;
mod clsact;
mod programs;
mod xdp_rx;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapError, PerCpuHashMap};
use net_traffic_common::{
    CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, CLASSES, DIRECTION_RX, DIRECTION_TX,
    IfaceBytes, IfaceKey,
};
use nix::sys::socket::SockProtocol;

use self::attachment::{Attacher, Attachment};
use self::bpf_set_mirror::BpfSetMirror;
pub use self::programs::{InterfacePrograms, XdpRxProgram};
use self::xdp_rx::XdpRx;
use super::interfaces::link;
use super::netlink::Netlink;
use super::netns::NetNs;
use super::plan::{Attach, Crossing, Filled};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Direction, InterfaceCounters, Passed, Snapshot, Wire as Row};

const NAME: &str = "wire";
/// `struct ifinfomsg`, all zero: every interface of every family.
const EVERY_INTERFACE: [u8; 16] = [0; 16];
const LOOPBACK: u32 = 1;

/// Accounts for every interface of one network namespace.
pub struct InterfaceAccounting {
    netns: NetNs,
    netlink: Netlink,
    attacher: Attacher,
    slots: Vec<Filled>,
    programs: Vec<Option<OwnedFd>>,
    counters: Map,
    own_addresses: BpfSetMirror<u64>,
    interfaces: BTreeMap<u32, Watched>,
    xdp_rx: Option<XdpRx>,
}

/// One interface, with both directions in the order of [`CROSSINGS`].
struct Watched {
    attachments: [Option<Attachment>; 2],
    /// The counters at the first reading.
    base: Option<Base>,
    /// The reasons why a direction has no program.
    refusals: Vec<String>,
}

/// The counters that later ones are compared with.
struct Base {
    rx: InterfaceCounters,
    tx: InterfaceCounters,
    passed: [[Passed; CLASSES as usize]; 2],
}

/// An interface as netlink describes it.
struct Link {
    ifindex: u32,
    name: String,
    kind: Option<String>,
    address: Option<u64>,
    rx: InterfaceCounters,
    tx: InterfaceCounters,
}

/// The directions, in the order of the slots in the plan.
const CROSSINGS: [(Crossing, u16, Direction); 2] =
    [(Crossing::In, DIRECTION_RX, Direction::Rx), (Crossing::Out, DIRECTION_TX, Direction::Tx)];

/// Attaches the program to the loopback interface of the namespace, and detaches it.
///
/// # Errors
/// The kernel's refusal.
pub fn probe_attach(
    netns: &NetNs,
    program: BorrowedFd<'_>,
    crossing: Crossing,
    uses_tcx: bool,
) -> io::Result<()> {
    let mut netlink = open(netns)?;
    let attacher = Attacher::of_this_process()?;
    attacher.attach(netns, &mut netlink, program, LOOPBACK, crossing, uses_tcx)?.detach(&mut netlink)
}

/// The same for the XDP program.
///
/// # Errors
/// The kernel's refusal.
pub fn probe_attach_xdp(netns: &NetNs, program: BorrowedFd<'_>) -> io::Result<()> {
    xdp_rx::probe_attach(netns, program, LOOPBACK)
}

fn open(netns: &NetNs) -> io::Result<Netlink> {
    netns.run(|| Netlink::open(SockProtocol::NetlinkRoute))?
}

impl InterfaceAccounting {
    /// Attaches the programs to every interface of the namespace, and reads the counters once. `xdp_interfaces` are the
    /// interfaces for XDP; empty: all.
    ///
    /// # Errors
    /// When the namespace cannot be entered or its interfaces not be read.
    pub fn start(
        programs: InterfacePrograms,
        netns: &NetNs,
        xdp_interfaces: Vec<String>,
    ) -> io::Result<Self> {
        let InterfacePrograms { slots, programs, counters, addresses, xdp_rx } = programs;
        let mut accounting = Self {
            netns: netns.try_clone()?,
            netlink: open(netns)?,
            attacher: Attacher::of_this_process()?,
            slots,
            programs,
            counters,
            own_addresses: BpfSetMirror::new(addresses)?,
            interfaces: BTreeMap::new(),
            xdp_rx: xdp_rx.map(|program| XdpRx::new(program, xdp_interfaces)),
        };
        accounting.read()?;
        Ok(accounting)
    }

    /// Attaches to new interfaces, forgets those that are gone, and reads the counters of the others.
    fn read(&mut self) -> io::Result<Vec<Row>> {
        let links = self.links()?;
        self.follow(&links)?;
        // The rows come before the interfaces' own counters, as for the base. A packet between the two readings is
        // then missing on the same side each time, and the difference does not grow.
        let mut passed = BTreeMap::new();
        let mut arrived = BTreeMap::new();
        for ifindex in self.interfaces.keys() {
            passed.insert(*ifindex, self.passed(*ifindex)?);
            // XDP comes first for a packet, and is read last: its counter is never behind the rows.
            if let Some(xdp_rx) = &mut self.xdp_rx {
                arrived.insert(*ifindex, xdp_rx.received(*ifindex)?);
            }
        }
        let mut rows = Vec::new();
        let mut began_anew = Vec::new();
        for link in self.links()? {
            let (Some(watched), Some(passed)) =
                (self.interfaces.get_mut(&link.ifindex), passed.get(&link.ifindex))
            else {
                continue;
            };
            let base = watched.base.get_or_insert_with(|| Base {
                rx: link.rx.clone(),
                tx: link.tx.clone(),
                passed: *passed,
            });
            if link.rx.bytes < base.rx.bytes || link.tx.bytes < base.tx.bytes {
                began_anew.push(link.ifindex);
                continue;
            }
            let netns = self.netns.inode();
            let is_attached = |at: &usize| watched.attachments.get(*at).is_some_and(Option::is_some);
            rows.extend(
                (0..CROSSINGS.len()).filter(is_attached).map(|at| row(&link, netns, base, passed, at)),
            );
        }
        // Another interface got the index, or a driver reset the counters.
        for ifindex in began_anew {
            self.forget(ifindex)?;
        }
        for row in rows.iter_mut().filter(|row| row.direction == Direction::Rx) {
            row.arrived = arrived.get(&row.ifindex).copied().flatten();
        }
        Ok(rows)
    }

    fn links(&mut self) -> io::Result<Vec<Link>> {
        let netns = self.netns.inode();
        let mut links = Vec::new();
        self.netlink.dump(libc::RTM_GETLINK, &EVERY_INTERFACE, &mut links, |answer| {
            let interface = link::interface(answer, netns)?;
            Ok(interface.map(|interface| Link {
                ifindex: interface.index,
                name: interface.name,
                kind: link::kind(answer),
                address: link::ethernet_address(answer),
                rx: interface.rx,
                tx: interface.tx,
            }))
        })?;
        Ok(links)
    }

    fn follow(&mut self, links: &[Link]) -> io::Result<()> {
        self.own_addresses.update(links.iter().filter_map(|link| link.address).collect())?;
        let gone: Vec<u32> = self
            .interfaces
            .keys()
            .filter(|ifindex| !links.iter().any(|link| link.ifindex == **ifindex))
            .copied()
            .collect();
        for ifindex in gone {
            self.forget(ifindex)?;
        }
        for link in links {
            if !self.interfaces.contains_key(&link.ifindex) {
                // XDP comes first for a packet, so that it is attached first.
                if let Some(xdp_rx) = &mut self.xdp_rx {
                    xdp_rx.attach(&self.netns, link.ifindex, &link.name, link.kind.is_some());
                }
                let watched = self.watch(link);
                self.interfaces.insert(link.ifindex, watched);
            }
        }
        Ok(())
    }

    /// Attaches both directions. A refusal is final for this interface.
    fn watch(&mut self, link: &Link) -> Watched {
        let mut watched = Watched { attachments: [None, None], base: None, refusals: Vec::new() };
        for (at, (crossing, _, _)) in CROSSINGS.into_iter().enumerate() {
            let Some(Some(program)) = self.programs.get(at) else { continue };
            let uses_tcx = matches!(self.slots.get(at).and_then(Filled::attach), Some(Attach::Tcx(_)));
            let attached = self.attacher.attach(
                &self.netns,
                &mut self.netlink,
                program.as_fd(),
                link.ifindex,
                crossing,
                uses_tcx,
            );
            match (attached, watched.attachments.get_mut(at)) {
                (Ok(attachment), Some(place)) => *place = Some(attachment),
                (Err(refusal), _) => watched.refusals.push(format!("{}: {refusal}", link.name)),
                _ => {}
            }
        }
        watched
    }

    /// Detaches from an interface, which may be gone, and removes its rows.
    fn forget(&mut self, ifindex: u32) -> io::Result<()> {
        if let Some(watched) = self.interfaces.remove(&ifindex) {
            for mut attachment in watched.attachments.into_iter().flatten() {
                // An interface that is gone took its filters with it.
                drop(attachment.detach(&mut self.netlink));
            }
        }
        if let Some(xdp_rx) = &mut self.xdp_rx {
            xdp_rx.forget(ifindex)?;
        }
        let mut rows: PerCpuHashMap<_, IfaceKey, IfaceBytes> =
            PerCpuHashMap::try_from(&mut self.counters).map_err(io::Error::other)?;
        for direction in [DIRECTION_RX, DIRECTION_TX] {
            for class in 0..CLASSES {
                match rows.remove(&IfaceKey { ifindex, direction, class }) {
                    Ok(()) | Err(MapError::KeyNotFound) => {}
                    Err(MapError::SyscallError(error))
                        if error.io_error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        Ok(())
    }

    /// The counters of the programs for an interface, summed over all CPUs.
    fn passed(&self, ifindex: u32) -> io::Result<[[Passed; CLASSES as usize]; 2]> {
        let rows: PerCpuHashMap<_, IfaceKey, IfaceBytes> =
            PerCpuHashMap::try_from(&self.counters).map_err(io::Error::other)?;
        let mut passed = [[Passed::default(); CLASSES as usize]; 2];
        for (classes, (_, direction, _)) in passed.iter_mut().zip(CROSSINGS) {
            for (sum, class) in classes.iter_mut().zip(0..) {
                match rows.get(&IfaceKey { ifindex, direction, class }, 0) {
                    Ok(cpus) => cpus.iter().for_each(|row| add(sum, row)),
                    Err(MapError::KeyNotFound) => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        Ok(passed)
    }
}

impl Collector for InterfaceAccounting {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let failed =
            |cause| CollectError { collector: NAME, attempt: "read what crossed the interfaces", cause };
        snapshot.wire = self.read().map_err(failed)?;
        for filled in &self.slots {
            let mut status = filled.status();
            let refusals = self.interfaces.values().flat_map(|watched| watched.refusals.iter().cloned());
            let reasons: Vec<String> = status.reason.take().into_iter().chain(refusals).collect();
            status.reason = (!reasons.is_empty()).then(|| reasons.join("; "));
            snapshot.status.push(status);
        }
        snapshot.status.extend(self.xdp_rx.as_ref().map(XdpRx::status));
        Ok(())
    }
}

impl Drop for InterfaceAccounting {
    fn drop(&mut self) {
        for watched in std::mem::take(&mut self.interfaces).into_values() {
            for mut attachment in watched.attachments.into_iter().flatten() {
                // The next start removes a filter that stays.
                drop(attachment.detach(&mut self.netlink));
            }
        }
    }
}

fn row(link: &Link, netns: u32, base: &Base, now: &[[Passed; CLASSES as usize]; 2], at: usize) -> Row {
    let (crossing, _, direction) = CROSSINGS[at];
    let (counters, before) =
        if crossing == Crossing::In { (&link.rx, &base.rx) } else { (&link.tx, &base.tx) };
    let class = |class: u16| since(now[at][usize::from(class)], base.passed[at][usize::from(class)]);
    Row {
        ifindex: link.ifindex,
        interface: link.name.clone(),
        netns: Some(netns),
        direction,
        interface_bytes: counters.bytes - before.bytes,
        interface_packets: counters.packets.saturating_sub(before.packets),
        arrived: None,
        left_out: left_out(link.kind.as_deref(), direction),
        encrypts: link.kind.as_deref() == Some("wireguard"),
        process: class(CLASS_PROCESS),
        kernel: class(CLASS_KERNEL),
        forwarded: class(CLASS_FORWARDED),
        unknown: class(CLASS_UNKNOWN),
    }
}

/// Loopback counts without the Ethernet header that its packets have at the hook, and so do tunnels that carry frames, of
/// which GRE counts it where they arrive; a bridge and a VLAN leave it out of what they receive.
fn left_out(kind: Option<&str>, direction: Direction) -> u32 {
    const ETHERNET_HEADER: u32 = 14;
    match (kind, direction) {
        (Some("bridge" | "vlan"), Direction::Rx)
        | (Some("gretap" | "ip6gretap"), Direction::Tx)
        | (Some(link::LOOPBACK | "vxlan" | "geneve"), _) => ETHERNET_HEADER,
        _ => 0,
    }
}

fn add(sum: &mut Passed, row: &IfaceBytes) {
    let IfaceBytes { packets, bytes, segments, segment_bytes, payload, tagged, tagged_segments } = *row;
    sum.packets += packets;
    sum.bytes += bytes;
    sum.segments += segments;
    sum.segment_bytes += segment_bytes;
    sum.payload += payload;
    sum.tagged += tagged;
    sum.tagged_segments += tagged_segments;
}

fn since(now: Passed, base: Passed) -> Passed {
    Passed {
        packets: now.packets.saturating_sub(base.packets),
        bytes: now.bytes.saturating_sub(base.bytes),
        segments: now.segments.saturating_sub(base.segments),
        segment_bytes: now.segment_bytes.saturating_sub(base.segment_bytes),
        payload: now.payload.saturating_sub(base.payload),
        tagged: now.tagged.saturating_sub(base.tagged),
        tagged_segments: now.tagged_segments.saturating_sub(base.tagged_segments),
    }
}
