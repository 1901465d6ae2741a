//! Attaches one program to one direction of an interface, and detaches it.

use std::io;
use std::os::fd::BorrowedFd;

use super::clsact::{Clsact, Filter};
use crate::bpf::TcxLink;
use crate::netlink::Netlink;
use crate::netns::NetNs;
use crate::plan::Crossing;

/// Attaches programs. Clsact filters carry the name of this process.
pub(in super::super) struct Attacher(Clsact);

/// An attached program.
pub(in super::super) enum Attachment {
    /// Dropping the link detaches.
    Tcx {
        _link: TcxLink,
    },
    Clsact(Filter),
}

impl Attacher {
    pub(in super::super) fn of_this_process() -> io::Result<Self> {
        Clsact::of_this_process().map(Self)
    }

    /// Attaches the program, and removes the clsact filters of killed processes.
    pub(in super::super) fn attach(
        &self,
        netns: &NetNs,
        netlink: &mut Netlink,
        program: BorrowedFd<'_>,
        ifindex: u32,
        crossing: Crossing,
        uses_tcx: bool,
    ) -> io::Result<Attachment> {
        self.0.remove_stale(netlink, ifindex)?;
        if uses_tcx {
            let link = netns.run(|| TcxLink::attach(program, ifindex, crossing == Crossing::In))??;
            Ok(Attachment::Tcx { _link: link })
        } else {
            self.0.attach(netlink, program, ifindex, crossing).map(Attachment::Clsact)
        }
    }
}

impl Attachment {
    pub(in super::super) fn detach(&mut self, netlink: &mut Netlink) -> io::Result<()> {
        match self {
            Self::Tcx { .. } => Ok(()),
            Self::Clsact(filter) => filter.remove(netlink),
        }
    }
}
