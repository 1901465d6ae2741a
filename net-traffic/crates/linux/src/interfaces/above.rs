//! Which network namespaces have an interface that lies on one of ours: a macvlan, an ipvlan, a VLAN that was moved.
//!
//! They know ours, and ours does not know them: all namespaces are searched, now and then.

use std::io;

use nix::sys::socket::SockProtocol;

use super::behind::number_of;
use super::{EVERY_INTERFACE, RTM_GETLINK, link};
use crate::netlink::Netlink;
use crate::netns::NetNs;

/// One search for so many readings.
const READINGS: u32 = 16;

/// What the last search found.
#[derive(Default)]
pub(super) struct Above {
    readings: u32,
    found: Vec<(u32, u32)>,
}

impl Above {
    /// Our interfaces on which others lie, each with the inode of the others' namespace.
    pub(super) fn look(&mut self, own: &NetNs) -> &[(u32, u32)] {
        if self.readings.is_multiple_of(READINGS) {
            let others = NetNs::all().into_iter().filter(|other| other.inode() != own.inode());
            // Without the right to enter one, what lies in there stays unknown.
            self.found = others.flat_map(|other| lying_on(own, &other).unwrap_or_default()).collect();
        }
        self.readings = self.readings.wrapping_add(1);
        &self.found
    }
}

fn lying_on(own: &NetNs, other: &NetNs) -> io::Result<Vec<(u32, u32)>> {
    let mut netlink = other.run(|| Netlink::open(SockProtocol::NetlinkRoute))??;
    let mut ties = Vec::new();
    netlink.dump(RTM_GETLINK, &EVERY_INTERFACE, &mut ties, |answer| link::ties(answer).map(Some))?;
    // The kernel gives a namespace its number when an interface is first listed that lies on one of it.
    let Some(number) = number_of(own, &mut netlink)? else { return Ok(Vec::new()) };
    let ties = ties.iter().filter(|ties| ties.peer_namespace == Some(number));
    Ok(ties.filter_map(|ties| Some((ties.below?, other.inode()))).collect())
}
