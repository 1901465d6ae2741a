//! Finds the peer namespaces of each interface.
//!
//! | interface | peer namespaces |
//! |---|---|
//! | veth | that of the veth's peer |
//! | bridge | those of the bridge's ports |
//! | any | those with an interface stacked on this one |
//!
//! A namespace identifies other namespaces by ids of its own (nsid,
//! <https://man7.org/linux/man-pages/man8/ip-netns.8.html>). An unknown nsid is resolved by a query for every namespace
//! that can be found.

use std::collections::HashMap;
use std::io;

use super::link::LinkRelations;
use crate::netlink::{Attributes, Malformed, Netlink, encode_attribute, read_u32};
use crate::netns::NetNs;
use net_traffic_snapshot::Interface;

/// The peer namespaces that were found.
#[derive(Default)]
pub(super) struct PeerNamespaces {
    /// By interface and nsid: the kernel may reuse an nsid soon, an interface's index hardly.
    peers: HashMap<(u32, u32), Peer>,
    /// Interfaces with the namespaces of the interfaces stacked on them.
    stacked: Vec<(u32, u32)>,
}

#[derive(Clone, Copy, Default)]
struct Peer {
    inode: Option<u32>,
    searches: u8,
}

/// Searches per nsid: a search may miss a namespace that is being made, and always misses a hidden one.
const SEARCHES: u8 = 3;
/// Levels of bridges and bonds that are followed.
const DEPTH: u8 = 4;

impl PeerNamespaces {
    /// Fills in the peer namespaces of each interface. `stacked`: interfaces with the namespaces of the interfaces on
    /// top.
    pub(super) fn fill(
        &mut self,
        netlink: &mut Netlink,
        relations: &[LinkRelations],
        stacked: &[(u32, u32)],
        interfaces: &mut [Interface],
    ) {
        self.stacked = stacked.to_vec();
        let key = |relation: &LinkRelations| Some((relation.index, relation.link_nsid?));
        let keys: Vec<_> = relations.iter().filter_map(key).collect();
        self.peers.retain(|key, _| keys.contains(key));
        let unknown =
            |peer: Option<&Peer>| peer.is_none_or(|peer| peer.inode.is_none() && peer.searches < SEARCHES);
        if keys.iter().any(|key| unknown(self.peers.get(key))) {
            let inodes = inodes_by_nsid(netlink);
            for key in &keys {
                let peer = self.peers.entry(*key).or_default();
                peer.searches = peer.searches.saturating_add(1);
                peer.inode = peer.inode.or_else(|| inodes.get(&key.1).copied());
            }
        }
        for interface in interfaces {
            self.collect(interface.index, relations, DEPTH, &mut interface.behind);
            interface.behind.sort_unstable();
            interface.behind.dedup();
        }
    }

    fn collect(&self, index: u32, relations: &[LinkRelations], depth: u8, into: &mut Vec<u32>) {
        let Some(depth) = depth.checked_sub(1) else { return };
        into.extend(self.stacked.iter().filter(|(lower, _)| *lower == index).map(|(_, inode)| inode));
        for relation in relations {
            if relation.index == index
                && let Some(nsid) = relation.link_nsid
            {
                into.extend(self.peers.get(&(index, nsid)).and_then(|peer| peer.inode));
            }
            if relation.master == Some(index) && relation.index != index {
                self.collect(relation.index, relations, depth, into);
            }
        }
    }
}

/// Neither libc nor linux-raw-sys has `linux/net_namespace.h`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/net_namespace.h#L14>).
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
/// The length of `struct rtgenmsg`, aligned to four bytes; attributes follow.
const MESSAGE: usize = 4;

/// The inodes of the namespaces with an nsid in the namespace of `netlink`.
fn inodes_by_nsid(netlink: &mut Netlink) -> HashMap<u32, u32> {
    let mut inodes = HashMap::new();
    for namespace in NetNs::all() {
        // An error concerns this namespace only.
        if let Ok(Some(nsid)) = nsid_of(&namespace, netlink) {
            inodes.insert(nsid, namespace.inode());
        }
    }
    inodes
}

/// The nsid of `namespace` in the namespace of `netlink`; `None` if the kernel has assigned none.
pub(super) fn nsid_of(namespace: &NetNs, netlink: &mut Netlink) -> io::Result<Option<u32>> {
    let mut body = vec![0; MESSAGE];
    body.extend(encode_attribute(NETNSA_FD, &namespace.descriptor().to_ne_bytes()));
    netlink.request_one(libc::RTM_GETNSID, &body, nsid)
}

fn nsid(payload: &[u8]) -> Result<Option<u32>, Malformed> {
    for attribute in Attributes(payload.get(MESSAGE..).unwrap_or_default()) {
        if let (NETNSA_NSID, value) = attribute? {
            return Ok(read_u32(value, 0).filter(|id| id.cast_signed() >= 0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bridge_has_the_peer_namespaces_of_its_ports() {
        let lone = |index| LinkRelations { index, ..LinkRelations::default() };
        let port = |index, nsid| LinkRelations { master: Some(2), link_nsid: Some(nsid), ..lone(index) };
        let relations = [lone(2), port(5, 0), port(7, 1), lone(9)];
        let peer = |inode| Peer { inode: Some(inode), searches: 1 };
        let namespaces = PeerNamespaces {
            peers: HashMap::from([((5, 0), peer(100)), ((7, 1), peer(200))]),
            stacked: vec![(7, 300), (9, 400)],
        };
        let of = |index| {
            let mut found = vec![];
            namespaces.collect(index, &relations, DEPTH, &mut found);
            found
        };
        // An interface stacked on a port counts for the bridge, too.
        assert_eq!(of(2), [100, 300, 200]);
        assert_eq!(of(5), [100]);
        assert_eq!(of(9), [400]);
        assert!(of(11).is_empty());
    }

    #[test]
    fn circular_masters_end_at_the_depth() {
        let port = |index, master| LinkRelations { index, master: Some(master), ..LinkRelations::default() };
        PeerNamespaces::default().collect(1, &[port(1, 2), port(2, 1)], DEPTH, &mut vec![]);
    }

    #[test]
    fn nsid_is_decoded_and_minus_one_is_none() {
        let answer = |id: i32| [vec![0; MESSAGE], encode_attribute(NETNSA_NSID, &id.to_ne_bytes())].concat();
        assert_eq!(nsid(&answer(4)), Ok(Some(4)));
        assert_eq!(nsid(&answer(-1)), Ok(None));
        assert_eq!(nsid(&[]), Ok(None));
    }
}
