//! The collector of what crosses each interface: keeps the programs attached, and reads what they counted beside the
//! interface's own counters.

mod arrivals;
mod clsact;
pub(super) mod end;
mod told;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use aya::maps::{Map, MapError, PerCpuHashMap};
use net_traffic_common::{
    CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, CLASSES, WIRE_RX, WIRE_TX, WireCounters,
    WireKey,
};
use nix::sys::socket::SockProtocol;

use self::arrivals::Arrivals;
use self::end::{End, Watcher};
use self::told::Told;
use super::interfaces::link;
use super::load::WirePrograms;
use super::netlink::Netlink;
use super::netns::NetNs;
use super::plan::{Attach, Crossing, Filled};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Direction, InterfaceCounters, Passed, Snapshot, Wire as Row};

const NAME: &str = "wire";
/// `struct ifinfomsg`, all zero: every interface of every family.
const EVERY_INTERFACE: [u8; 16] = [0; 16];
const LOOPBACK: u32 = 1;

/// Watches every interface of one network namespace.
pub struct Wire {
    netns: NetNs,
    netlink: Netlink,
    watcher: Watcher,
    slots: Vec<Filled>,
    programs: Vec<Option<OwnedFd>>,
    counters: Map,
    own_addresses: Told<u64>,
    interfaces: BTreeMap<u32, Watched>,
    /// Where it was asked for.
    arrivals: Option<Arrivals>,
}

/// One interface, with both directions in the order of [`CROSSINGS`].
struct Watched {
    ends: [Option<End>; 2],
    /// The counters when it was first seen.
    base: Option<Base>,
    /// Why a direction is not watched.
    refusals: Vec<String>,
}

/// What everything is counted from.
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
    [(Crossing::In, WIRE_RX, Direction::Rx), (Crossing::Out, WIRE_TX, Direction::Tx)];

/// Whether the program attaches to the loopback interface of the namespace; it does not stay there.
///
/// # Errors
/// The kernel's refusal.
pub fn prove(netns: &NetNs, program: BorrowedFd<'_>, crossing: Crossing, uses_tcx: bool) -> io::Result<()> {
    let mut netlink = open(netns)?;
    let watcher = Watcher::of_this_process()?;
    let way = if uses_tcx { "a tcx link" } else { "a clsact filter" };
    let refused = |refusal: io::Error| io::Error::new(refusal.kind(), format!("{way}: {refusal}"));
    let end = watcher.attach(netns, &mut netlink, program, LOOPBACK, crossing, uses_tcx);
    end.map_err(refused)?.detach(&mut netlink)
}

/// The same for the program that counts what arrives.
///
/// # Errors
/// The kernel's refusal.
pub fn prove_arrivals(netns: &NetNs, program: BorrowedFd<'_>) -> io::Result<()> {
    arrivals::prove(netns, program, LOOPBACK)
}

fn open(netns: &NetNs) -> io::Result<Netlink> {
    netns.run(|| Netlink::open(SockProtocol::NetlinkRoute))?
}

impl Wire {
    /// Attaches the programs to every interface of the namespace; counting has begun when this returns.
    ///
    /// # Errors
    /// When the namespace cannot be entered or its interfaces not be read.
    pub fn start(
        programs: WirePrograms,
        netns: &NetNs,
        arrivals_at: Option<Vec<String>>,
    ) -> io::Result<Self> {
        let WirePrograms { slots, programs, counters, addresses, arrivals } = programs;
        let mut wire = Self {
            netns: netns.try_clone()?,
            netlink: open(netns)?,
            watcher: Watcher::of_this_process()?,
            slots,
            programs,
            counters,
            own_addresses: Told::new(addresses)?,
            interfaces: BTreeMap::new(),
            arrivals: arrivals.map(|programs| Arrivals::new(programs, arrivals_at.unwrap_or_default())),
        };
        wire.read()?;
        Ok(wire)
    }

    /// Follows the interfaces that came and went, and gives what passed the others.
    fn read(&mut self) -> io::Result<Vec<Row>> {
        let links = self.links()?;
        self.follow(&links)?;
        // The rows before the counters, now as when the base was taken: what passes in between is then on the same
        // side each time, and shows as a remainder only while it is under way.
        let mut passed = BTreeMap::new();
        let mut arrived = BTreeMap::new();
        for ifindex in self.interfaces.keys() {
            passed.insert(*ifindex, self.passed(*ifindex)?);
            // At once behind the counters of the stack: what is between the two is never less than nothing.
            if let Some(arrivals) = &mut self.arrivals {
                arrived.insert(*ifindex, arrivals.of(*ifindex)?);
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
            let is_attached = |at: &usize| watched.ends.get(*at).is_some_and(Option::is_some);
            rows.extend(
                (0..CROSSINGS.len()).filter(is_attached).map(|at| row(&link, netns, base, passed, at)),
            );
        }
        // Another interface has the index of one that went, or a driver reset its counters.
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
        self.own_addresses.tell(links.iter().filter_map(|link| link.address).collect())?;
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
                // Before the counters are read first, so that nothing is counted there and not here.
                if let Some(arrivals) = &mut self.arrivals {
                    arrivals.watch(&self.netns, link.ifindex, &link.name, link.kind.is_some());
                }
                let watched = self.watch(link);
                self.interfaces.insert(link.ifindex, watched);
            }
        }
        Ok(())
    }

    /// An interface that refuses is not asked again.
    fn watch(&mut self, link: &Link) -> Watched {
        let mut watched = Watched { ends: [None, None], base: None, refusals: Vec::new() };
        for (at, (crossing, _, _)) in CROSSINGS.into_iter().enumerate() {
            let Some(Some(program)) = self.programs.get(at) else { continue };
            let uses_tcx = matches!(self.slots.get(at).and_then(Filled::attach), Some(Attach::Tcx(_)));
            let attached = self.watcher.attach(
                &self.netns,
                &mut self.netlink,
                program.as_fd(),
                link.ifindex,
                crossing,
                uses_tcx,
            );
            match (attached, watched.ends.get_mut(at)) {
                (Ok(end), Some(place)) => *place = Some(end),
                (Err(refusal), _) => watched.refusals.push(format!("{}: {refusal}", link.name)),
                _ => {}
            }
        }
        watched
    }

    /// Detaches from an interface, or from what is left of it, and drops its rows.
    fn forget(&mut self, ifindex: u32) -> io::Result<()> {
        if let Some(watched) = self.interfaces.remove(&ifindex) {
            for mut end in watched.ends.into_iter().flatten() {
                // The interface is gone, and what was attached went with it.
                drop(end.detach(&mut self.netlink));
            }
        }
        if let Some(arrivals) = &mut self.arrivals {
            arrivals.forget(ifindex)?;
        }
        let mut rows: PerCpuHashMap<_, WireKey, WireCounters> =
            PerCpuHashMap::try_from(&mut self.counters).map_err(io::Error::other)?;
        for direction in [WIRE_RX, WIRE_TX] {
            for class in 0..CLASSES {
                match rows.remove(&WireKey { ifindex, direction, class }) {
                    Ok(()) | Err(MapError::KeyNotFound) => {}
                    Err(MapError::SyscallError(error))
                        if error.io_error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        Ok(())
    }

    /// What the programs have counted for an interface, over all CPUs.
    fn passed(&self, ifindex: u32) -> io::Result<[[Passed; CLASSES as usize]; 2]> {
        let rows: PerCpuHashMap<_, WireKey, WireCounters> =
            PerCpuHashMap::try_from(&self.counters).map_err(io::Error::other)?;
        let mut passed = [[Passed::default(); CLASSES as usize]; 2];
        for (classes, (_, direction, _)) in passed.iter_mut().zip(CROSSINGS) {
            for (sum, class) in classes.iter_mut().zip(0..) {
                match rows.get(&WireKey { ifindex, direction, class }, 0) {
                    Ok(cpus) => cpus.iter().for_each(|row| add(sum, row)),
                    Err(MapError::KeyNotFound) => {}
                    Err(error) => return Err(io::Error::other(error)),
                }
            }
        }
        Ok(passed)
    }
}

impl Collector for Wire {
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
        snapshot.status.extend(self.arrivals.as_ref().map(Arrivals::status));
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for watched in std::mem::take(&mut self.interfaces).into_values() {
            for mut end in watched.ends.into_iter().flatten() {
                // Nobody is left to be told; the next start removes what stays.
                drop(end.detach(&mut self.netlink));
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

fn add(sum: &mut Passed, row: &WireCounters) {
    let WireCounters { packets, bytes, segments, segment_bytes, payload, tagged, tagged_segments } = *row;
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
