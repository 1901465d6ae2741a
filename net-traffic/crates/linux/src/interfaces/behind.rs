//! Which network namespaces lie behind an interface: of a veth that of its peer, of a bridge those of its ports,
//! and of any interface those that have another one on top of it.
//!
//! The kernel numbers other namespaces for each namespace anew; which inode has which number is asked for every
//! namespace that can be found, when a number comes up that is not known.

use std::collections::HashMap;
use std::io;

use super::link::Ties;
use crate::netlink::{Attributes, Malformed, Netlink, encode_attribute, read_u32};
use crate::netns::NetNs;
use net_traffic_snapshot::Interface;

/// The namespaces behind interfaces, as far as they were found.
#[derive(Default)]
pub(super) struct Behind {
    /// By interface and number: a number may be given again, an interface's index hardly.
    peers: HashMap<(u32, u32), Peer>,
    /// Interfaces with the namespaces of what lies on them.
    above: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Default)]
struct Peer {
    inode: Option<u32>,
    searches: u8,
}

/// A new namespace may not be found at once; one that is hidden never is.
const SEARCHES: u8 = 3;
/// A bridge may be a port of another.
const DEPTH: u8 = 4;

impl Behind {
    /// Fills in what lies behind each interface. `above`: interfaces with the namespaces of what lies on them.
    pub(super) fn fill(
        &mut self,
        netlink: &mut Netlink,
        ties: &[Ties],
        above: &[(u32, u32)],
        interfaces: &mut [Interface],
    ) {
        self.above = above.to_vec();
        let wanted = |tie: &Ties| Some((tie.index, tie.peer_namespace?));
        let keys: Vec<_> = ties.iter().filter_map(wanted).collect();
        self.peers.retain(|key, _| keys.contains(key));
        let unknown =
            |peer: Option<&Peer>| peer.is_none_or(|peer| peer.inode.is_none() && peer.searches < SEARCHES);
        if keys.iter().any(|key| unknown(self.peers.get(key))) {
            let inodes = numbered(netlink);
            for key in &keys {
                let peer = self.peers.entry(*key).or_default();
                peer.searches = peer.searches.saturating_add(1);
                peer.inode = peer.inode.or_else(|| inodes.get(&key.1).copied());
            }
        }
        for interface in interfaces {
            self.collect(interface.index, ties, DEPTH, &mut interface.behind);
            interface.behind.sort_unstable();
            interface.behind.dedup();
        }
    }

    fn collect(&self, index: u32, ties: &[Ties], depth: u8, into: &mut Vec<u32>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        into.extend(self.above.iter().filter(|(below, _)| *below == index).map(|(_, inode)| inode));
        for tie in ties {
            if tie.index == index
                && let Some(number) = tie.peer_namespace
            {
                into.extend(self.peers.get(&(index, number)).and_then(|peer| peer.inode));
            }
            if tie.master == Some(index) && tie.index != index {
                self.collect(tie.index, ties, depth, into);
            }
        }
    }
}

/// `NETNSA_NSID` and `NETNSA_FD` of `linux/net_namespace.h`.
const NSID: u16 = 1;
const FD: u16 = 3;
/// The length of `struct rtgenmsg`, as netlink aligns it.
const MESSAGE: usize = 4;

/// The inodes of all namespaces that have a number here.
fn numbered(netlink: &mut Netlink) -> HashMap<u32, u32> {
    let mut inodes = HashMap::new();
    for namespace in NetNs::all() {
        // A refusal is about that namespace only.
        if let Ok(Some(number)) = number_of(&namespace, netlink) {
            inodes.insert(number, namespace.inode());
        }
    }
    inodes
}

/// The number of a namespace in the one in which `netlink` was opened, if it has one there.
pub(super) fn number_of(namespace: &NetNs, netlink: &mut Netlink) -> io::Result<Option<u32>> {
    let mut body = vec![0; MESSAGE];
    body.extend(encode_attribute(FD, &namespace.descriptor().to_ne_bytes()));
    netlink.one(libc::RTM_GETNSID, &body, number)
}

fn number(payload: &[u8]) -> Result<Option<u32>, Malformed> {
    for attribute in Attributes(payload.get(MESSAGE..).unwrap_or_default()) {
        if let (NSID, value) = attribute? {
            return Ok(read_u32(value, 0).filter(|id| id.cast_signed() >= 0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_has_behind_it_what_its_ports_have() {
        let port =
            |index, number| Ties { index, master: Some(2), peer_namespace: Some(number), ..Ties::default() };
        let ties = [
            Ties { index: 2, ..Ties::default() },
            port(5, 0),
            port(7, 1),
            Ties { index: 9, ..Ties::default() },
        ];
        let peer = |inode| Peer { inode: Some(inode), searches: 1 };
        let behind = Behind {
            peers: HashMap::from([((5, 0), peer(100)), ((7, 1), peer(200))]),
            above: vec![(7, 300), (9, 400)],
        };
        let of = |index| {
            let mut found = vec![];
            behind.collect(index, &ties, DEPTH, &mut found);
            found
        };
        // What lies on a port is behind the bridge, too.
        assert_eq!(of(2), [100, 300, 200]);
        assert_eq!(of(5), [100]);
        assert_eq!(of(9), [400]);
        assert!(of(11).is_empty());
    }

    #[test]
    fn a_ring_of_masters_ends() {
        let tie = |index, master| Ties { index, master: Some(master), ..Ties::default() };
        Behind::default().collect(1, &[tie(1, 2), tie(2, 1)], DEPTH, &mut vec![]);
    }

    #[test]
    fn the_number_is_found_in_an_answer() {
        let answer = |id: i32| [vec![0; MESSAGE], encode_attribute(NSID, &id.to_ne_bytes())].concat();
        assert_eq!(number(&answer(4)), Ok(Some(4)));
        assert_eq!(number(&answer(-1)), Ok(None));
        assert_eq!(number(&[]), Ok(None));
    }
}
