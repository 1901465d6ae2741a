//! Finds network namespaces with an interface stacked on one of this namespace: a macvlan, an ipvlan, or a VLAN that
//! was moved.
//!
//! A stacked interface names its lower interface (`IFLA_LINK` and `IFLA_LINK_NETNSID`), but the lower interface has
//! no list of the interfaces on it in other namespaces. So every namespace is searched, once in a number of snapshots.

use std::io;

use nix::sys::socket::SockProtocol;

use super::peers::nsid_of;
use super::{EVERY_INTERFACE, RTM_GETLINK, link};
use crate::netlink::Netlink;
use crate::netns::NetNs;

/// Snapshots per search.
const SNAPSHOTS: u32 = 16;

/// The result of the last search.
#[derive(Default)]
pub(super) struct StackedInterfaces {
    snapshots: u32,
    found: Vec<(u32, u32)>,
}

impl StackedInterfaces {
    /// Pairs of a lower interface in `own` and the inode of the namespace with the interface on top.
    pub(super) fn poll(&mut self, own: &NetNs) -> &[(u32, u32)] {
        if self.snapshots.is_multiple_of(SNAPSHOTS) {
            let others = NetNs::all().into_iter().filter(|other| other.inode() != own.inode());
            // A namespace that may not be entered is left out.
            self.found = others.flat_map(|other| stacked_on(own, &other).unwrap_or_default()).collect();
        }
        self.snapshots = self.snapshots.wrapping_add(1);
        &self.found
    }
}

fn stacked_on(own: &NetNs, other: &NetNs) -> io::Result<Vec<(u32, u32)>> {
    let mut netlink = other.run(|| Netlink::open(SockProtocol::NetlinkRoute))??;
    let mut relations = Vec::new();
    netlink
        .dump(RTM_GETLINK, &EVERY_INTERFACE, &mut relations, |answer| link::relations(answer).map(Some))?;
    // The dump comes first: with it the kernel assigns an id to `own` if an interface is stacked on one of `own`
    // (<https://github.com/gregkh/linux/blob/v6.12.117/net/core/rtnetlink.c#L1763>).
    let Some(nsid) = nsid_of(own, &mut netlink)? else { return Ok(Vec::new()) };
    let relations = relations.iter().filter(|relation| relation.link_nsid == Some(nsid));
    Ok(relations.filter_map(|relation| Some((relation.link?, other.inode()))).collect())
}
