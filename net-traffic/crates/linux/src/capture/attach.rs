//! The filters on the interfaces: in both directions of the stack, or where frames arrive.

use std::collections::HashMap;
use std::io;
use std::os::fd::BorrowedFd;

use nix::sys::socket::SockProtocol;

use super::filters::Place;
use super::inside::Inside;
use super::interfaces::{self, Found};
use super::kernel::Kernel;
use super::promiscuous::Promiscuous;
use super::translations::Translations;
use crate::bpf::{XdpLink, XdpMode};
use crate::netlink::Netlink;
use crate::netns::NetNs;
use crate::plan::Crossing;
use crate::wire::end::{End, Watcher};
use net_traffic_capture::LiveCaptureOptions;
use pcap_io::Direction;

/// What is attached where.
pub(super) struct Attached {
    places: Vec<Place>,
    promiscuous: bool,
    netns: NetNs,
    netlink: Netlink,
    watcher: Watcher,
    /// By interface.
    ends: HashMap<u32, Ends>,
    /// Where it is learnt whose the packets of a bridge are: on those of its ports that are not captured themselves.
    ports: HashMap<u32, End>,
    /// What is behind the captured interfaces, once it is asked for.
    inside: Option<Inside>,
    /// Which flows are translated, once anything is behind an interface.
    translations: Option<Translations>,
    /// Whether the kernel has TCX, once that is known.
    uses_tcx: Option<bool>,
    remarks: Vec<String>,
}

struct Ends {
    held: Vec<Held>,
    /// Held for as long as the filters are.
    _promiscuous: Option<Promiscuous>,
}

enum Held {
    Stack(End),
    /// Dropping it detaches.
    Arrival {
        _link: XdpLink,
    },
}

impl Attached {
    pub(super) fn new(options: &LiveCaptureOptions, netns: NetNs) -> io::Result<Self> {
        let places = match (options.xdp, options.direction) {
            (true, _) => vec![Place::Arrival],
            (false, None) => vec![Place::Stack(Crossing::In), Place::Stack(Crossing::Out)],
            (false, Some(Direction::In)) => vec![Place::Stack(Crossing::In)],
            (false, Some(Direction::Out)) => vec![Place::Stack(Crossing::Out)],
        };
        Ok(Self {
            places,
            promiscuous: options.promiscuous,
            netlink: netns.run(|| Netlink::open(SockProtocol::NetlinkRoute))??,
            netns,
            watcher: Watcher::of_this_process()?,
            ends: HashMap::new(),
            ports: HashMap::new(),
            inside: None,
            translations: None,
            uses_tcx: None,
            remarks: Vec::new(),
        })
    }

    /// The interfaces that are there now.
    pub(super) fn present(&mut self) -> io::Result<Vec<Found>> {
        interfaces::all(&mut self.netlink)
    }

    pub(super) fn has(&self, ifindex: u32) -> bool {
        self.ends.contains_key(&ifindex)
    }

    /// What the user should know of how filters were attached; each once.
    pub(super) fn remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// Attaches the filter of the interface's kind. All of it, or nothing.
    pub(super) fn attach(&mut self, found: &Found, kernel: &mut Kernel) -> io::Result<()> {
        let mut held = Vec::new();
        for place in self.places.clone() {
            let attached = match place {
                Place::Stack(crossing) => self.attach_to_stack(found, crossing, kernel),
                Place::Arrival => self.attach_to_arrival(found, kernel),
            };
            match attached {
                Ok(one) => held.push(one),
                Err(refusal) => {
                    self.remove(held);
                    return Err(refusal);
                }
            }
        }
        let promiscuous = if self.promiscuous { self.promiscuous_on(found)? } else { None };
        self.ends.insert(found.index, Ends { held, _promiscuous: promiscuous });
        Ok(())
    }

    fn attach_to_stack(
        &mut self,
        found: &Found,
        crossing: Crossing,
        kernel: &mut Kernel,
    ) -> io::Result<Held> {
        let program = kernel.filter(found, Place::Stack(crossing))?;
        self.hook(program, found.index, crossing).map(Held::Stack)
    }

    /// A link without other hosts refuses, and has none to hide.
    fn promiscuous_on(&mut self, found: &Found) -> io::Result<Option<Promiscuous>> {
        let refusal = match self.netns.run(|| Promiscuous::on(found.index))? {
            Ok(promiscuous) => return Ok(Some(promiscuous)),
            Err(refusal) => refusal,
        };
        let remark = "without packets between other hosts (promiscuous mode): CAP_NET_RAW missing";
        if refusal.kind() == io::ErrorKind::PermissionDenied
            && !self.remarks.iter().any(|said| said == remark)
        {
            self.remarks.push(remark.to_owned());
        }
        Ok(None)
    }

    /// Has the owners of a captured bridge's packets be learnt on its ports. Where the kernel refuses, packets have no
    /// owner, and are captured all the same.
    pub(super) fn attach_to_ports(&mut self, present: &[Found], kernel: &mut Kernel) {
        for found in present {
            let is_port = found.master.is_some_and(|master| self.has(master));
            if is_port && !self.has(found.index) && !self.ports.contains_key(&found.index) {
                let end = kernel.learner().and_then(|program| self.hook(program, found.index, Crossing::In));
                if let Ok(end) = end {
                    self.ports.insert(found.index, end);
                }
            }
        }
    }

    /// Learns which addresses are behind the interfaces.
    pub(super) fn look_inside(&mut self, present: &[Found], kernel: &mut Kernel) {
        if let Some(maps) = kernel.take_inside() {
            self.inside = Some(Inside::new(maps, &self.netns));
        }
        let ends = &self.ends;
        let is_captured = |found: &Found| {
            ends.contains_key(&found.index) || found.master.is_some_and(|master| ends.contains_key(&master))
        };
        if let Some(inside) = &mut self.inside {
            inside.look(present, is_captured);
            if kernel.has_translated() && inside.has_any() && Translations::may_be(&self.netns) {
                self.follow_translations(kernel);
            }
        }
        if let Some(refusal) = self.translations.as_mut().and_then(Translations::refusal) {
            self.remark_translations(&refusal);
        }
    }

    /// Once. Where the kernel refuses, the programs learn from what leaves.
    fn follow_translations(&mut self, kernel: &mut Kernel) {
        let Some(map) = kernel.take_translated() else { return };
        match Translations::follow(map, &self.netns) {
            Ok(translations) => self.translations = Some(translations),
            Err(refusal) => self.remark_translations(&refusal),
        }
    }

    fn remark_translations(&mut self, refusal: &io::Error) {
        self.remarks.push(format!(
            "answers to translated packets have a process only after a packet of theirs has left: {refusal}"
        ));
    }

    /// How many addresses behind interfaces found no room in the kernel's map.
    pub(super) fn without_room(&self) -> u64 {
        self.inside.as_ref().map_or(0, Inside::without_room)
    }

    /// Tries TCX first, whose links end with this process however it ends.
    fn hook(&mut self, program: BorrowedFd<'_>, ifindex: u32, crossing: Crossing) -> io::Result<End> {
        let Self { watcher, netns, netlink, uses_tcx, .. } = self;
        if *uses_tcx != Some(false) {
            match watcher.attach(netns, netlink, program, ifindex, crossing, true) {
                Ok(end) => {
                    *uses_tcx = Some(true);
                    return Ok(end);
                }
                Err(refusal) if *uses_tcx == Some(true) => return Err(refusal),
                Err(_) => {}
            }
        }
        let end = watcher.attach(netns, netlink, program, ifindex, crossing, false)?;
        *uses_tcx = Some(false);
        Ok(end)
    }

    /// Tries the driver first; where it refuses, the kernel runs the program behind it, before all else.
    fn attach_to_arrival(&mut self, found: &Found, kernel: &mut Kernel) -> io::Result<Held> {
        let program = kernel.filter(found, Place::Arrival)?;
        let attach = |mode| self.netns.run(|| XdpLink::attach(program, found.index, mode));
        let refusal = match attach(XdpMode::Driver)? {
            Ok(link) => return Ok(Held::Arrival { _link: link }),
            Err(refusal) => refusal,
        };
        let link = attach(XdpMode::Generic)??;
        self.remarks.push(format!("{}: XDP in generic mode; its driver: {refusal}", found.name));
        Ok(Held::Arrival { _link: link })
    }

    /// Interfaces that are gone took their filters along; their indices may come again.
    pub(super) fn forget_missing(&mut self, present: &[Found]) {
        let is_there = |index: &u32| present.iter().any(|found| found.index == *index);
        self.ends.retain(|index, _| is_there(index));
        self.ports.retain(|index, _| is_there(index));
    }

    /// Takes all filters off.
    pub(super) fn detach(&mut self) {
        for (_, ends) in std::mem::take(&mut self.ends) {
            self.remove(ends.held);
        }
        let ports = std::mem::take(&mut self.ports);
        self.remove(ports.into_values().map(Held::Stack).collect());
    }

    fn remove(&mut self, held: Vec<Held>) {
        for one in held {
            if let Held::Stack(mut end) = one {
                // It fails where the interface is gone, and the filter with it.
                let _detached = end.detach(&mut self.netlink);
            }
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.detach();
    }
}
