//! The filters on the interfaces, in both directions.

use std::collections::HashMap;
use std::io;

use nix::sys::socket::SockProtocol;

use super::interfaces::Found;
use super::kernel::Kernel;
use super::promiscuous::Promiscuous;
use crate::packet::Direction;
use crate::source::linux::netlink::Netlink;
use crate::source::linux::netns::NetNs;
use crate::source::linux::plan::Crossing;
use crate::source::linux::wire::end::{End, Watcher};

/// What is attached where.
pub(super) struct Attached {
    directions: Vec<Crossing>,
    promiscuous: bool,
    netns: NetNs,
    netlink: Netlink,
    watcher: Watcher,
    /// By interface.
    ends: HashMap<u32, Ends>,
    /// Whether the kernel has TCX, once that is known.
    uses_tcx: Option<bool>,
}

struct Ends {
    ends: Vec<End>,
    /// Held for as long as the filters are.
    _promiscuous: Option<Promiscuous>,
}

impl Attached {
    pub(super) fn new(direction: Option<Direction>, promiscuous: bool) -> io::Result<Self> {
        let directions = match direction {
            None => vec![Crossing::In, Crossing::Out],
            Some(Direction::In) => vec![Crossing::In],
            Some(Direction::Out) => vec![Crossing::Out],
        };
        Ok(Self {
            directions,
            promiscuous,
            netns: NetNs::own().map_err(io::Error::other)?,
            netlink: Netlink::open(SockProtocol::NetlinkRoute)?,
            watcher: Watcher::of_this_process()?,
            ends: HashMap::new(),
            uses_tcx: None,
        })
    }

    pub(super) fn has(&self, ifindex: u32) -> bool {
        self.ends.contains_key(&ifindex)
    }

    /// Attaches the filter of the interface's link type. All of it, or nothing.
    pub(super) fn attach(&mut self, found: &Found, kernel: &Kernel) -> io::Result<()> {
        let mut ends = Vec::new();
        for crossing in self.directions.clone() {
            let program = kernel.filter(found.link, crossing)?;
            match self.attach_one(program, found.index, crossing) {
                Ok(end) => ends.push(end),
                Err(refusal) => {
                    self.remove(&mut ends);
                    return Err(refusal);
                }
            }
        }
        // A link without other hosts refuses, and has none to hide.
        let promiscuous = if self.promiscuous { Promiscuous::on(found.index).ok() } else { None };
        self.ends.insert(found.index, Ends { ends, _promiscuous: promiscuous });
        Ok(())
    }

    /// Tries TCX first, whose links end with this process however it ends.
    fn attach_one(
        &mut self,
        program: std::os::fd::BorrowedFd<'_>,
        ifindex: u32,
        crossing: Crossing,
    ) -> io::Result<End> {
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

    /// Interfaces that are gone took their filters along; their indices may come again.
    pub(super) fn forget_missing(&mut self, present: &[Found]) {
        self.ends.retain(|index, _| present.iter().any(|found| found.index == *index));
    }

    /// Takes all filters off.
    pub(super) fn detach(&mut self) {
        for (_, mut ends) in std::mem::take(&mut self.ends) {
            self.remove(&mut ends.ends);
        }
    }

    fn remove(&mut self, ends: &mut Vec<End>) {
        for mut end in ends.drain(..) {
            // It fails where the interface is gone, and the filter with it.
            let _detached = end.detach(&mut self.netlink);
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        self.detach();
    }
}
