//! Decodes one `RTM_NEWLINK` message. Pure: bytes in, an interface out.

use crate::netlink::{Attributes, Malformed, read_u16, read_u32, read_u64};
use net_traffic_snapshot::{Interface, InterfaceCounters};

/// The length of `struct ifinfomsg`; attributes follow.
const MESSAGE: usize = 16;
const TOO_SHORT: Malformed = Malformed("no room for an interface");

/// The interface that one answer describes; `None` if it has no name.
pub(in super::super) fn interface(payload: &[u8], netns: u32) -> Result<Option<Interface>, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let flags = read_u32(header, 8).ok_or(TOO_SHORT)?;
    let mut interface = Interface {
        index: read_u32(header, 4).ok_or(TOO_SHORT)?,
        netns: Some(netns),
        up: flags & libc::IFF_UP.cast_unsigned() != 0,
        ..Interface::default()
    };
    let mut carrier_changes = None;
    for attribute in Attributes(attributes) {
        match attribute? {
            (libc::IFLA_IFNAME, value) => interface.name = text(value),
            (libc::IFLA_MTU, value) => interface.mtu = read_u32(value, 0),
            (libc::IFLA_CARRIER_CHANGES, value) => carrier_changes = read_u32(value, 0),
            (libc::IFLA_STATS64, value) => set_counters(&mut interface, value),
            _ => {}
        }
    }
    if let Some(changes) = carrier_changes {
        interface.tx.detail.push(("carrier_changes".to_owned(), u64::from(changes)));
    }
    Ok(Some(interface).filter(|interface| !interface.name.is_empty()))
}

/// What an interface is tied to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Ties {
    pub(super) index: u32,
    /// The bridge that it is a port of.
    pub(super) master: Option<u32>,
    /// Its other end, or what it lies on, is in the namespace of this number, which counts in ours only.
    pub(super) peer_namespace: Option<u32>,
    /// The index of that, there.
    pub(super) below: Option<u32>,
}

/// The ties in the same answer.
pub(super) fn ties(payload: &[u8]) -> Result<Ties, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let mut ties = Ties { index: read_u32(header, 4).ok_or(TOO_SHORT)?, ..Ties::default() };
    for attribute in Attributes(attributes) {
        match attribute? {
            (libc::IFLA_MASTER, value) => ties.master = read_u32(value, 0),
            (libc::IFLA_LINK, value) => ties.below = read_u32(value, 0),
            (libc::IFLA_LINK_NETNSID, value) => {
                // The kernel says -1 of a namespace that has no number here.
                ties.peer_namespace = read_u32(value, 0).filter(|id| id.cast_signed() >= 0);
            }
            _ => {}
        }
    }
    Ok(ties)
}

pub(in super::super) const LOOPBACK: &str = "loopback";

const IFLA_INFO_KIND: u16 = 1;

/// The kind of a virtual interface, as `ip link add type` names it, or [`LOOPBACK`]; `None` for hardware.
pub(in super::super) fn kind(payload: &[u8]) -> Option<String> {
    if read_u16(payload, 2) == Some(libc::ARPHRD_LOOPBACK) {
        return Some(LOOPBACK.to_owned());
    }
    let information = attribute(payload.get(MESSAGE..)?, libc::IFLA_LINKINFO)?;
    attribute(information, IFLA_INFO_KIND).map(text)
}

/// The Ethernet address of an interface that has one, in the lower six octets in network order.
pub(in super::super) fn ethernet_address(payload: &[u8]) -> Option<u64> {
    let mut attributes = Attributes(payload.get(MESSAGE..)?).filter_map(Result::ok);
    let (_, address) = attributes.find(|(kind, _)| *kind == libc::IFLA_ADDRESS)?;
    let mut octets = [0; 8];
    octets.get_mut(..6)?.copy_from_slice(address.get(..6).filter(|_| address.len() == 6)?);
    Some(u64::from_le_bytes(octets))
}

/// The first attribute of a type.
fn attribute(bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    Attributes(bytes).filter_map(Result::ok).find_map(|(kind, value)| (kind == wanted).then_some(value))
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// The words of `struct rtnl_link_stats64` by their position. Later kernels append; a missing one is left out.
fn set_counters(interface: &mut Interface, statistics: &[u8]) {
    let word = |index: usize| read_u64(statistics, index * 8);
    let detail = |causes: &[(&str, usize)]| {
        causes.iter().filter_map(|(name, index)| Some(((*name).to_owned(), word(*index)?))).collect()
    };
    let counters = |packets, bytes, errors, dropped, causes: &[(&str, usize)]| InterfaceCounters {
        bytes: word(bytes).unwrap_or(0),
        packets: word(packets).unwrap_or(0),
        errors: word(errors).unwrap_or(0),
        dropped: word(dropped).unwrap_or(0),
        detail: detail(causes),
    };
    interface.rx = counters(0, 2, 4, 6, RX_CAUSES);
    interface.tx = counters(1, 3, 5, 7, TX_CAUSES);
    interface.multicast = word(8).unwrap_or(0);
    interface.collisions = word(9).unwrap_or(0);
}

const RX_CAUSES: &[(&str, usize)] = &[
    ("length", 10),
    ("over", 11),
    ("crc", 12),
    ("frame", 13),
    ("fifo", 14),
    ("missed", 15),
    ("compressed", 21),
    ("nohandler", 23),
    ("otherhost_dropped", 24),
];

const TX_CAUSES: &[(&str, usize)] =
    &[("aborted", 16), ("carrier", 17), ("fifo", 18), ("heartbeat", 19), ("window", 20), ("compressed", 22)];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::encode_attribute;

    /// Counter number n has the value 100 + n.
    fn message(counters: usize) -> Vec<u8> {
        let statistics: Vec<u8> = (0..counters).flat_map(|n| (100 + n as u64).to_ne_bytes()).collect();
        let mut bytes = vec![0; MESSAGE];
        bytes[4] = 3;
        bytes[8] = 1;
        bytes.extend(encode_attribute(libc::IFLA_IFNAME, b"eth0\0"));
        bytes.extend(encode_attribute(libc::IFLA_MTU, &1500_u32.to_ne_bytes()));
        bytes.extend(encode_attribute(libc::IFLA_CARRIER_CHANGES, &5_u32.to_ne_bytes()));
        bytes.extend(encode_attribute(libc::IFLA_STATS64, &statistics));
        bytes
    }

    #[test]
    fn every_counter_has_its_place() {
        let interface = interface(&message(25), 77).unwrap().unwrap();
        assert_eq!((interface.index, interface.name.as_str(), interface.mtu), (3, "eth0", Some(1500)));
        assert!(interface.up);
        assert_eq!(interface.netns, Some(77));
        let rx = &interface.rx;
        assert_eq!((rx.packets, rx.bytes, rx.errors, rx.dropped), (100, 102, 104, 106));
        let tx = &interface.tx;
        assert_eq!((tx.packets, tx.bytes, tx.errors, tx.dropped), (101, 103, 105, 107));
        assert_eq!((interface.multicast, interface.collisions), (108, 109));
        let rx: Vec<_> = rx.detail.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(rx[..3], [("length", 110), ("over", 111), ("crc", 112)]);
        assert_eq!(rx[6..], [("compressed", 121), ("nohandler", 123), ("otherhost_dropped", 124)]);
        let tx: Vec<_> = tx.detail.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!(tx[..2], [("aborted", 116), ("carrier", 117)]);
        assert_eq!(tx[5..], [("compressed", 122), ("carrier_changes", 5)]);
    }

    #[test]
    fn ties_are_those_of_a_port_of_a_bridge() {
        let mut bytes = message(25);
        assert_eq!(ties(&bytes), Ok(Ties { index: 3, ..Ties::default() }));
        bytes.extend(encode_attribute(libc::IFLA_MASTER, &9_u32.to_ne_bytes()));
        bytes.extend(encode_attribute(libc::IFLA_LINK_NETNSID, &0_u32.to_ne_bytes()));
        bytes.extend(encode_attribute(libc::IFLA_LINK, &4_u32.to_ne_bytes()));
        let expected = Ties { index: 3, master: Some(9), peer_namespace: Some(0), below: Some(4) };
        assert_eq!(ties(&bytes), Ok(expected));
        assert_eq!(ties(&bytes[..MESSAGE - 1]), Err(TOO_SHORT));
    }

    #[test]
    fn a_virtual_interface_has_a_kind() {
        let information = encode_attribute(IFLA_INFO_KIND, b"veth\0");
        let veth = [message(25), encode_attribute(libc::IFLA_LINKINFO, &information)].concat();
        assert_eq!(kind(&veth).as_deref(), Some("veth"));
        assert_eq!(kind(&message(25)), None);
    }

    #[test]
    fn an_older_kernel_has_fewer_counters() {
        let interface = interface(&message(23), 77).unwrap().unwrap();
        assert_eq!(interface.rx.detail.last().unwrap().0, "compressed");
    }

    #[test]
    fn a_cut_message_is_an_error() {
        assert!(interface(&message(25)[..MESSAGE - 1], 0).is_err());
        assert!(interface(&message(25)[..MESSAGE + 6], 0).is_err());
    }

    proptest! {
        #[test]
        fn garbage_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(interface(&bytes, 0));
        }

        #[test]
        fn a_damaged_message_does_not_panic(at in 0_usize..290, value: u8) {
            let mut bytes = message(25);
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
            drop(interface(&bytes, 0));
        }
    }
}
