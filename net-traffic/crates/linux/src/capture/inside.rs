//! What is behind an interface, in another network namespace: which addresses containers have. So a packet to one finds
//! its socket there before anything has come from it, and a packet that was routed the one that sent it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use aya::maps::{Array, HashMap as KernelMap, Map};
use net_traffic_common::packet::{ANYWHERE, Inside as Key};
use nix::sys::socket::SockProtocol;

use super::interfaces::{Found, Peer};
use crate::netlink::{Attributes, Netlink, encode_attribute, read_address, read_u32};
use crate::netns::NetNs;

/// The length of `struct ifaddrmsg`; attributes follow.
const ADDRESS: usize = 8;
const TARGET_NETNSID: u16 = 10;

pub(super) struct Inside {
    maps: Maps,
    /// `None` where the kernel does not tell of other namespaces.
    netlink: Option<Netlink>,
    /// What each namespace had when it was asked last.
    addresses: HashMap<u32, Vec<Address>>,
    copy: KernelCopy,
}

/// What the programs ask.
pub(super) struct Maps {
    /// The namespace's number, by interface and address.
    pub(super) inside: Map,
    /// Whether there is anything to ask for.
    pub(super) behind: Map,
}

impl Inside {
    pub(super) fn new(maps: Maps, netns: &NetNs) -> Self {
        let netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkRoute));
        let netlink = netlink.ok().and_then(Result::ok);
        let netlink = netlink.filter(|netlink| netlink.set_strict_check().is_ok());
        Self { maps, netlink, addresses: HashMap::new(), copy: KernelCopy::default() }
    }

    /// Looks at what is behind the interfaces now. Packets go to one itself, or to the bridge that it is a port of: which
    /// one matters where they are captured. Those that were routed matter on any.
    pub(super) fn look(&mut self, present: &[Found], is_captured: impl Fn(&Found) -> bool) {
        let Some(netlink) = &mut self.netlink else { return };
        let ends: Vec<_> = present.iter().filter_map(|found| Some((found, found.peer?))).collect();
        let namespaces: BTreeSet<u32> = ends.iter().map(|(_, peer)| peer.netns).collect();
        self.addresses.retain(|netns, _| namespaces.contains(netns));
        let mut found_now = Vec::new();
        for netns in namespaces {
            // A dump that was disturbed says nothing; one of a namespace that is gone by now does not matter.
            if let Ok(addresses) = addresses(netlink, netns) {
                self.addresses.insert(netns, addresses);
            }
            let addresses = self.addresses.get(&netns).map(Vec::as_slice).unwrap_or_default();
            for (found, peer) in ends.iter().filter(|(_, peer)| peer.netns == netns) {
                for (_, address, is_v6) in addresses.iter().filter(|(index, ..)| *index == peer.index) {
                    let key = Key { address: *address, ifindex: ANYWHERE, is_v6: u32::from(*is_v6) };
                    let interfaces =
                        if is_captured(found) { [Some(found.index), found.master] } else { [None; 2] };
                    found_now.push((key, interfaces, *peer));
                }
            }
        }
        self.tell(&wanted(&found_now));
    }

    /// How many entries found no room in the kernel's map, and not at the next attempt either.
    pub(super) fn without_room(&self) -> u64 {
        self.copy.lasting
    }

    /// Whether an address is known at all.
    pub(super) fn has_any(&self) -> bool {
        !self.copy.known.is_empty()
    }

    fn tell(&mut self, now: &HashMap<Key, u32>) {
        let Ok(mut map) = KernelMap::<_, Key, u32>::try_from(&mut self.maps.inside) else { return };
        self.copy.update(now, |key, netns| match netns {
            Some(netns) => map.insert(key, netns, 0).is_ok(),
            None => map.remove(key).is_ok(),
        });
        if self.has_any() {
            self.ask();
        }
    }

    /// Has the programs ask from now on.
    fn ask(&mut self) {
        if let Ok(mut behind) = Array::<_, u32>::try_from(&mut self.maps.behind) {
            // Without it packets lack a name.
            let _asked = behind.set(0, 1, 0);
        }
    }
}

/// The interface's index and address in a namespace, in network order, and whether it is of IPv6.
type Address = (u32, [u32; 4], bool);
/// An address, the interfaces that it is to be asked for at, and where it is.
type Place = (Key, [Option<u32>; 2], Peer);

/// What the map is to have. An address that two namespaces have says nothing where the interface is not known.
fn wanted(places: &[Place]) -> HashMap<Key, u32> {
    let mut anywhere: HashMap<Key, BTreeSet<u32>> = HashMap::new();
    let mut wanted = HashMap::new();
    for (key, interfaces, peer) in places {
        anywhere.entry(*key).or_default().insert(peer.netns);
        for ifindex in interfaces.iter().flatten() {
            wanted.insert(Key { ifindex: *ifindex, ..*key }, peer.netns);
        }
    }
    let only = |(key, namespaces): (Key, BTreeSet<u32>)| {
        if namespaces.len() == 1 { namespaces.first().map(|netns| (key, *netns)) } else { None }
    };
    wanted.extend(anywhere.into_iter().filter_map(only));
    wanted
}

/// What the kernel's map has, and what it had no room for.
#[derive(Default)]
struct KernelCopy {
    known: HashMap<Key, u32>,
    /// What found no room the last time.
    refused: HashSet<Key>,
    /// What found none twice in a row, each entry once while it is there.
    lost: HashSet<Key>,
    lasting: u64,
}

impl KernelCopy {
    /// Brings the map up to date by `put`, which removes a key without a value, and says if it could. What it could not
    /// is tried again the next time.
    fn update(&mut self, now: &HashMap<Key, u32>, mut put: impl FnMut(&Key, Option<u32>) -> bool) {
        self.known.retain(|key, _| {
            let is_there = now.contains_key(key);
            if !is_there {
                put(key, None);
            }
            is_there
        });
        self.lost.retain(|key| now.contains_key(key));
        let mut refused = HashSet::new();
        for (key, netns) in now {
            if self.known.get(key) == Some(netns) {
                continue;
            }
            if put(key, Some(*netns)) {
                self.known.insert(*key, *netns);
            } else {
                if self.refused.contains(key) && self.lost.insert(*key) {
                    self.lasting += 1;
                }
                refused.insert(*key);
            }
        }
        self.refused = refused;
    }
}

/// Those of another namespace.
fn addresses(netlink: &mut Netlink, netns: u32) -> io::Result<Vec<Address>> {
    let mut found = Vec::new();
    let body = [vec![0; ADDRESS], encode_attribute(TARGET_NETNSID, &netns.to_ne_bytes())].concat();
    netlink.dump(libc::RTM_GETADDR, &body, &mut found, |payload| Ok(address(payload)))?;
    Ok(found)
}

fn address(payload: &[u8]) -> Option<Address> {
    const IFA_ADDRESS: u16 = 1;
    const IFA_LOCAL: u16 = 2;
    let index = read_u32(payload, 4)?;
    let of =
        |wanted| Attributes(payload.get(ADDRESS..)?).filter_map(Result::ok).find(|(kind, _)| *kind == wanted);
    // Of IPv4 the former may be the other end's.
    let (_, value) = of(IFA_LOCAL).or_else(|| of(IFA_ADDRESS))?;
    Some((index, read_address(value)?, value.len() == 16))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8, ifindex: u32) -> Key {
        Key { address: [u32::from_ne_bytes([10, 0, 0, last]), 0, 0, 0], ifindex, is_v6: 0 }
    }

    /// A map with room for so many.
    fn put(map: &mut HashMap<Key, u32>, room: usize, key: &Key, netns: Option<u32>) -> bool {
        match netns {
            Some(netns) if map.contains_key(key) || map.len() < room => {
                map.insert(*key, netns);
                true
            }
            Some(_) => false,
            None => map.remove(key).is_some(),
        }
    }

    #[test]
    fn what_finds_no_room_is_tried_again_and_counted_when_it_lasts() {
        let mut told = KernelCopy::default();
        let mut map = HashMap::new();
        let three: HashMap<_, _> = [(key(1, 0), 7), (key(2, 0), 7), (key(3, 0), 8)].into();
        told.update(&three, |key, netns| put(&mut map, 2, key, netns));
        assert_eq!((map.len(), told.lasting), (2, 0));
        for _ in 0..2 {
            told.update(&three, |key, netns| put(&mut map, 2, key, netns));
            assert_eq!((map.len(), told.lasting), (2, 1));
        }
        // One goes, and makes room for the one that waits.
        let gone = *map.keys().next().unwrap();
        let two: HashMap<_, _> = three.into_iter().filter(|(key, _)| *key != gone).collect();
        told.update(&two, |key, netns| put(&mut map, 2, key, netns));
        assert_eq!((&map, told.lasting), (&two, 1));
        // What moved is told anew.
        let moved: HashMap<_, _> = two.keys().map(|key| (*key, 9)).collect();
        told.update(&moved, |key, netns| put(&mut map, 2, key, netns));
        assert_eq!((map, told.lasting), (moved, 1));
    }

    #[test]
    fn an_address_of_two_namespaces_is_known_by_its_interface_only() {
        let peer = |netns| Peer { netns, index: 2 };
        let places = [
            (key(1, 0), [Some(5), Some(9)], peer(7)),
            (key(2, 0), [None, None], peer(7)),
            (key(2, 0), [Some(6), None], peer(8)),
        ];
        let expected = [(key(1, 0), 7), (key(1, 5), 7), (key(1, 9), 7), (key(2, 6), 8)].into();
        assert_eq!(wanted(&places), expected);
    }

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
