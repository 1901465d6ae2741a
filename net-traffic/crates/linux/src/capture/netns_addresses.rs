//! Maps the addresses in peer namespaces to those namespaces, for the programs: the addresses of containers.
//!
//! With this map a program finds the receiving socket of a packet to a container before any packet has left the
//! container, and the sending socket of a packet that this host routes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;

use aya::maps::{Array, HashMap as KernelMap, Map};
use linux_raw_sys::netlink::IFA_TARGET_NETNSID;
use net_traffic_common::packet::{ANY_INTERFACE, NetnsAddress as Key};
use nix::sys::socket::SockProtocol;

use super::interfaces::{CaptureInterface, VethPeer};
use crate::netlink::{Attributes, Netlink, encode_attribute, read_address, read_u32};
use crate::netns::NetNs;

/// The length of `struct ifaddrmsg`; attributes follow.
const ADDRESS: usize = 8;

pub(super) struct NetnsAddresses {
    maps: AddressMaps,
    /// `None` before Linux 4.20, which cannot dump the addresses of another namespace.
    netlink: Option<Netlink>,
    /// The last dump of each namespace, by nsid.
    addresses: HashMap<u32, Vec<LocalAddress>>,
    copy: MapCopy,
}

/// The maps that the programs read.
pub(super) struct AddressMaps {
    /// The nsid of an address, by address and interface.
    pub(super) nsid_by_address: Map,
    /// One entry: whether the other map has entries.
    pub(super) is_used: Map,
}

impl NetnsAddresses {
    pub(super) fn new(maps: AddressMaps, netns: &NetNs) -> Self {
        let netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkRoute));
        let netlink = netlink.ok().and_then(Result::ok);
        let netlink = netlink.filter(|netlink| netlink.set_strict_check().is_ok());
        Self { maps, netlink, addresses: HashMap::new(), copy: MapCopy::default() }
    }

    /// Dumps the addresses of every peer namespace, and updates the map.
    pub(super) fn poll(
        &mut self,
        present: &[CaptureInterface],
        is_captured: impl Fn(&CaptureInterface) -> bool,
    ) {
        let Some(netlink) = &mut self.netlink else { return };
        let peers: Vec<_> = present.iter().filter_map(|found| Some((found, found.peer?))).collect();
        let namespaces: BTreeSet<u32> = peers.iter().map(|(_, peer)| peer.nsid).collect();
        self.addresses.retain(|nsid, _| namespaces.contains(nsid));
        for nsid in namespaces {
            // After a failed dump the last result stays. The dump of a removed namespace fails, too.
            if let Ok(addresses) = addresses(netlink, nsid) {
                self.addresses.insert(nsid, addresses);
            }
        }
        let locations: Vec<_> =
            peers.iter().flat_map(|(found, peer)| self.locations(found, *peer, is_captured(found))).collect();
        self.update_map(&map_entries(&locations));
    }

    /// The addresses of an interface's peer. A packet to such an address is captured on the interface or on its bridge,
    /// so that both have an entry. The programs find routed packets by the entry for [`ANYWHERE`].
    fn locations(
        &self,
        found: &CaptureInterface,
        peer: VethPeer,
        is_captured: bool,
    ) -> impl Iterator<Item = AddressLocation> {
        let interfaces = if is_captured { [Some(found.index), found.master] } else { [None; 2] };
        let addresses = self.addresses.get(&peer.nsid).map(Vec::as_slice).unwrap_or_default();
        addresses.iter().filter(move |local| local.ifindex == peer.index).map(move |local| AddressLocation {
            key: Key { address: local.address, ifindex: ANY_INTERFACE, is_v6: u32::from(local.is_v6) },
            interfaces,
            nsid: peer.nsid,
        })
    }

    /// The entries that the map refused at two polls in a row.
    pub(super) fn without_room(&self) -> u64 {
        self.copy.lasting
    }

    /// Whether the map has an entry.
    pub(super) fn has_any(&self) -> bool {
        !self.copy.known.is_empty()
    }

    fn update_map(&mut self, now: &HashMap<Key, u32>) {
        let Ok(mut map) = KernelMap::<_, Key, u32>::try_from(&mut self.maps.nsid_by_address) else { return };
        self.copy.update(now, |key, nsid| match nsid {
            Some(nsid) => map.insert(key, nsid, 0).is_ok(),
            None => map.remove(key).is_ok(),
        });
        if self.has_any() {
            self.enable_lookups();
        }
    }

    fn enable_lookups(&mut self) {
        if let Ok(mut is_used) = Array::<_, u32>::try_from(&mut self.maps.is_used) {
            // A failure leaves packets without a process.
            let _set = is_used.set(0, 1, 0);
        }
    }
}

/// An address of an interface in another namespace, in network order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LocalAddress {
    ifindex: u32,
    address: [u32; 4],
    is_v6: bool,
}

/// An address, the captured interfaces that reach it, and the namespace with the address.
struct AddressLocation {
    key: Key,
    interfaces: [Option<u32>; 2],
    nsid: u32,
}

/// The entries of the map. An address in two namespaces has no entry for [`ANY_INTERFACE`].
fn map_entries(locations: &[AddressLocation]) -> HashMap<Key, u32> {
    let mut anywhere: HashMap<Key, BTreeSet<u32>> = HashMap::new();
    let mut entries = HashMap::new();
    for AddressLocation { key, interfaces, nsid } in locations {
        anywhere.entry(*key).or_default().insert(*nsid);
        for ifindex in interfaces.iter().flatten() {
            entries.insert(Key { ifindex: *ifindex, ..*key }, *nsid);
        }
    }
    let only = |(key, namespaces): (Key, BTreeSet<u32>)| {
        if namespaces.len() == 1 { namespaces.first().map(|nsid| (key, *nsid)) } else { None }
    };
    entries.extend(anywhere.into_iter().filter_map(only));
    entries
}

/// The content of the kernel's map, and the entries that the map refused.
#[derive(Default)]
struct MapCopy {
    known: HashMap<Key, u32>,
    /// Entries that the last update did not insert.
    refused: HashSet<Key>,
    /// Entries that two updates in a row did not insert; each counts once while the address exists.
    lost: HashSet<Key>,
    lasting: u64,
}

impl MapCopy {
    /// Updates the map to `now`. `put` sets or removes an entry and returns whether that succeeded. The next update
    /// repeats a failed insertion.
    fn update(&mut self, now: &HashMap<Key, u32>, mut put: impl FnMut(&Key, Option<u32>) -> bool) {
        self.known.retain(|key, _| {
            let exists = now.contains_key(key);
            if !exists {
                put(key, None);
            }
            exists
        });
        self.lost.retain(|key| now.contains_key(key));
        let mut refused = HashSet::new();
        for (key, nsid) in now {
            if self.known.get(key) == Some(nsid) {
                continue;
            }
            if put(key, Some(*nsid)) {
                self.known.insert(*key, *nsid);
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

/// Dumps the addresses of another namespace
/// (<https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/devinet.c#L1808>).
fn addresses(netlink: &mut Netlink, nsid: u32) -> io::Result<Vec<LocalAddress>> {
    let mut found = Vec::new();
    let target = encode_attribute(IFA_TARGET_NETNSID as u16, &nsid.to_ne_bytes());
    let body = [vec![0; ADDRESS], target].concat();
    netlink.dump(libc::RTM_GETADDR, &body, &mut found, |payload| Ok(address(payload)))?;
    Ok(found)
}

fn address(payload: &[u8]) -> Option<LocalAddress> {
    let ifindex = read_u32(payload, 4)?;
    let attribute =
        |kind| Attributes(payload.get(ADDRESS..)?).filter_map(Result::ok).find(|(found, _)| *found == kind);
    // On a point-to-point link IFA_ADDRESS is the address of the peer.
    let (_, value) = attribute(libc::IFA_LOCAL).or_else(|| attribute(libc::IFA_ADDRESS))?;
    Some(LocalAddress { ifindex, address: read_address(value)?, is_v6: value.len() == 16 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(last: u8, ifindex: u32) -> Key {
        Key { address: [u32::from_ne_bytes([10, 0, 0, last]), 0, 0, 0], ifindex, is_v6: 0 }
    }

    /// A map with a limit of `room` entries.
    fn put(map: &mut HashMap<Key, u32>, room: usize, key: &Key, nsid: Option<u32>) -> bool {
        match nsid {
            Some(nsid) if map.contains_key(key) || map.len() < room => {
                map.insert(*key, nsid);
                true
            }
            Some(_) => false,
            None => map.remove(key).is_some(),
        }
    }

    #[test]
    fn refused_entry_is_retried_and_counted_once() {
        let mut copy = MapCopy::default();
        let mut map = HashMap::new();
        let three: HashMap<_, _> = [(key(1, 0), 7), (key(2, 0), 7), (key(3, 0), 8)].into();
        copy.update(&three, |key, nsid| put(&mut map, 2, key, nsid));
        assert_eq!((map.len(), copy.lasting), (2, 0));
        for _ in 0..2 {
            copy.update(&three, |key, nsid| put(&mut map, 2, key, nsid));
            assert_eq!((map.len(), copy.lasting), (2, 1));
        }
        // A removed entry makes room for the refused one.
        let gone = *map.keys().next().unwrap();
        let two: HashMap<_, _> = three.into_iter().filter(|(key, _)| *key != gone).collect();
        copy.update(&two, |key, nsid| put(&mut map, 2, key, nsid));
        assert_eq!((&map, copy.lasting), (&two, 1));
        // An entry with another namespace is written again.
        let moved: HashMap<_, _> = two.keys().map(|key| (*key, 9)).collect();
        copy.update(&moved, |key, nsid| put(&mut map, 2, key, nsid));
        assert_eq!((map, copy.lasting), (moved, 1));
    }

    #[test]
    fn address_in_two_namespaces_needs_the_interface() {
        let location = |last, interfaces, nsid| AddressLocation { key: key(last, 0), interfaces, nsid };
        let locations = [
            location(1, [Some(5), Some(9)], 7),
            location(2, [None, None], 7),
            location(2, [Some(6), None], 8),
        ];
        let expected = [(key(1, 0), 7), (key(1, 5), 7), (key(1, 9), 7), (key(2, 6), 8)].into();
        assert_eq!(map_entries(&locations), expected);
    }

    #[test]
    fn addresses_of_both_families_are_decoded() {
        let message = |attributes: &[Vec<u8>]| [vec![2, 24, 0, 0, 7, 0, 0, 0], attributes.concat()].concat();
        let peer = encode_attribute(1, &[10, 0, 0, 1]);
        let own = encode_attribute(2, &[10, 0, 0, 2]);
        let local = |address, is_v6| Some(LocalAddress { ifindex: 7_u32.to_le(), address, is_v6 });
        let octets = u32::from_ne_bytes([10, 0, 0, 2]);
        assert_eq!(address(&message(&[peer, own])), local([octets, 0, 0, 0], false));
        let long = encode_attribute(1, &[0xfd; 16]);
        assert_eq!(address(&message(&[long])), local([0xfdfd_fdfd; 4], true));
        assert_eq!(address(&message(&[])), None);
        assert_eq!(address(&[1, 2]), None);
    }
}
