//! One program on one interface in one direction: how it is attached, and how it is taken off again.

use std::io;
use std::os::fd::BorrowedFd;

use super::clsact::{Clsact, Filter};
use crate::bpf::TcxLink;
use crate::netlink::Netlink;
use crate::netns::NetNs;
use crate::plan::Crossing;

/// Attaches programs in the name of this process.
pub(in super::super) struct Watcher(Clsact);

/// A program that is attached.
pub(in super::super) enum End {
    /// Dropping the link detaches.
    Tcx {
        _link: TcxLink,
    },
    Clsact(Filter),
}

impl Watcher {
    pub(in super::super) fn of_this_process() -> io::Result<Self> {
        Clsact::of_this_process().map(Self)
    }

    /// Filters of ours that a process left behind when it was killed are removed, whichever way is used now.
    pub(in super::super) fn attach(
        &self,
        netns: &NetNs,
        netlink: &mut Netlink,
        program: BorrowedFd<'_>,
        ifindex: u32,
        crossing: Crossing,
        uses_tcx: bool,
    ) -> io::Result<End> {
        self.0.remove_stale(netlink, ifindex)?;
        if uses_tcx {
            let link = netns.run(|| TcxLink::attach(program, ifindex, crossing == Crossing::In))??;
            Ok(End::Tcx { _link: link })
        } else {
            self.0.attach(netlink, program, ifindex, crossing).map(End::Clsact)
        }
    }
}

impl End {
    pub(in super::super) fn detach(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        match self {
            Self::Tcx { .. } => Ok(()),
            Self::Clsact(filter) => filter.remove(netlink),
        }
    }
}
