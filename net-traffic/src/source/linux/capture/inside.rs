//! What is behind an interface, in another network namespace: which addresses containers have. So a packet to one finds
//! its socket there before anything has come from it.

use std::collections::{BTreeSet, HashMap};
use std::io;

use aya::maps::{HashMap as KernelMap, Map};
use net_traffic_common::packet::Inside as Key;
use nix::sys::socket::SockProtocol;

use super::interfaces::Found;
use crate::source::linux::netlink::{Attributes, Netlink, encode_attribute, read_u32};
use crate::source::linux::netns::NetNs;

/// The length of `struct ifaddrmsg`; attributes follow.
const ADDRESS: usize = 8;
const TARGET_NETNSID: u16 = 10;

pub(super) struct Inside {
    /// The namespace's number, by interface and address.
    map: Map,
    /// `None` where the kernel does not tell of other namespaces.
    netlink: Option<Netlink>,
    known: HashMap<Key, u32>,
}

impl Inside {
    pub(super) fn new(map: Map, netns: &NetNs) -> Self {
        let netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkRoute));
        let netlink = netlink.ok().and_then(Result::ok);
        Self { map, netlink: netlink.filter(|netlink| netlink.be_strict().is_ok()), known: HashMap::new() }
    }

    /// Looks at what is behind these interfaces now; packets go to one itself, or to the bridge that it is a port of.
    pub(super) fn look<'f>(&mut self, ends: impl Iterator<Item = &'f Found>) {
        let Some(netlink) = &mut self.netlink else { return };
        let ends: Vec<_> = ends.filter_map(|found| Some((found, found.peer?))).collect();
        let mut now = HashMap::new();
        let namespaces: BTreeSet<u32> = ends.iter().map(|(_, peer)| peer.netns).collect();
        for netns in namespaces {
            // A namespace may be gone by now.
            let addresses = addresses(netlink, netns).unwrap_or_default();
            for (found, peer) in ends.iter().filter(|(_, peer)| peer.netns == netns) {
                for (_, address, is_v6) in addresses.iter().filter(|(index, ..)| *index == peer.index) {
                    for ifindex in [Some(found.index), found.master].into_iter().flatten() {
                        now.insert(Key { address: *address, ifindex, is_v6: u32::from(*is_v6) }, netns);
                    }
                }
            }
        }
        self.tell(&now);
        self.known = now;
    }

    /// What does not fit into the map costs a name.
    fn tell(&mut self, now: &HashMap<Key, u32>) {
        let Ok(mut map) = KernelMap::<_, Key, u32>::try_from(&mut self.map) else { return };
        for gone in self.known.keys().filter(|key| !now.contains_key(key)) {
            let _removed = map.remove(gone);
        }
        for (key, netns) in now.iter().filter(|(key, netns)| self.known.get(key) != Some(netns)) {
            let _told = map.insert(key, netns, 0);
        }
    }
}

/// The interfaces' indices and addresses in another namespace, in network order.
fn addresses(netlink: &mut Netlink, netns: u32) -> io::Result<Vec<(u32, [u32; 4], bool)>> {
    let mut found = Vec::new();
    let body = [vec![0; ADDRESS], encode_attribute(TARGET_NETNSID, &netns.to_ne_bytes())].concat();
    netlink.dump(libc::RTM_GETADDR, &body, &mut found, |payload| Ok(address(payload)))?;
    Ok(found)
}

fn address(payload: &[u8]) -> Option<(u32, [u32; 4], bool)> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let index = read_u32(payload, 4)?;
    let of =
        |wanted| Attributes(payload.get(ADDRESS..)?).filter_map(Result::ok).find(|(kind, _)| *kind == wanted);
    // Of IPv4 the former may be the other end's.
    let (_, value) = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS))?;
    let word = |at| read_u32(value, at);
    match value.len() {
        4 => Some((index, [word(0)?, 0, 0, 0], false)),
        16 => Some((index, [word(0)?, word(4)?, word(8)?, word(12)?], true)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_families() {
        let message = |attributes: &[Vec<u8>]| [vec![2, 24, 0, 0, 7, 0, 0, 0], attributes.concat()].concat();
        let peer = encode_attribute(1, &[10, 0, 0, 1]);
        let own = encode_attribute(2, &[10, 0, 0, 2]);
        let octets = u32::from_ne_bytes([10, 0, 0, 2]);
        assert_eq!(address(&message(&[peer, own])), Some((7_u32.to_le(), [octets, 0, 0, 0], false)));
        let long = encode_attribute(1, &[0xfd; 16]);
        assert_eq!(address(&message(&[long])), Some((7_u32.to_le(), [0xfdfd_fdfd; 4], true)));
        assert_eq!(address(&message(&[])), None);
        assert_eq!(address(&[1, 2]), None);
    }
}
