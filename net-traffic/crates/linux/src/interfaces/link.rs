//! Decodes one `RTM_NEWLINK` message. Pure: bytes in, an interface out.

use std::mem::offset_of;

use linux_raw_sys::netlink::rtnl_link_stats64;

use crate::netlink::{Attributes, Malformed, read_u16, read_u32, read_u64};
use net_traffic_snapshot::{Interface, InterfaceCounters};

/// The length of `struct ifinfomsg`; attributes follow
/// (<https://man7.org/linux/man-pages/man7/rtnetlink.7.html>).
const MESSAGE: usize = 16;
const TOO_SHORT: Malformed = Malformed("no room for an interface");

/// Decodes the interface in an answer; `None` if the interface has no name.
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

/// The other interfaces that an interface depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct LinkRelations {
    pub(super) index: u32,
    /// `IFLA_MASTER`: the bridge or bond that has the interface as a port.
    pub(super) master: Option<u32>,
    /// `IFLA_LINK`: the peer of a veth, or the lower interface. An index in the namespace of `link_nsid`.
    pub(super) link: Option<u32>,
    /// `IFLA_LINK_NETNSID`: the id of that namespace, if it is another one. The id is valid in this namespace only.
    pub(super) link_nsid: Option<u32>,
}

/// Decodes the relations in an answer.
pub(super) fn relations(payload: &[u8]) -> Result<LinkRelations, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let index = read_u32(header, 4).ok_or(TOO_SHORT)?;
    let mut relations = LinkRelations { index, ..LinkRelations::default() };
    for attribute in Attributes(attributes) {
        match attribute? {
            (libc::IFLA_MASTER, value) => relations.master = read_u32(value, 0),
            (libc::IFLA_LINK, value) => relations.link = read_u32(value, 0),
            (libc::IFLA_LINK_NETNSID, value) => {
                // A namespace without an id has -1, NETNSA_NSID_NOT_ASSIGNED
                // (<https://github.com/gregkh/linux/blob/v6.12.117/net/core/net_namespace.c#L320>).
                relations.link_nsid = read_u32(value, 0).filter(|id| id.cast_signed() >= 0);
            }
            _ => {}
        }
    }
    Ok(relations)
}

pub(in super::super) const LOOPBACK: &str = "loopback";

/// The kind of a virtual interface, as in `ip link add type KIND`, or [`LOOPBACK`]; `None` for hardware.
pub(in super::super) fn kind(payload: &[u8]) -> Option<String> {
    if read_u16(payload, 2) == Some(libc::ARPHRD_LOOPBACK) {
        return Some(LOOPBACK.to_owned());
    }
    let information = attribute(payload.get(MESSAGE..)?, libc::IFLA_LINKINFO)?;
    attribute(information, libc::IFLA_INFO_KIND).map(text)
}

/// The Ethernet address of an interface, in the lower six bytes in network order; `None` for another address length.
pub(in super::super) fn ethernet_address(payload: &[u8]) -> Option<u64> {
    let mut attributes = Attributes(payload.get(MESSAGE..)?).filter_map(Result::ok);
    let (_, address) = attributes.find(|(kind, _)| *kind == libc::IFLA_ADDRESS)?;
    let mut octets = [0; 8];
    octets.get_mut(..6)?.copy_from_slice(address.get(..6).filter(|_| address.len() == 6)?);
    Some(u64::from_le_bytes(octets))
}

/// The value of the first attribute of type `kind`.
fn attribute(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    Attributes(bytes).filter_map(Result::ok).find_map(|(found, value)| (found == kind).then_some(value))
}

fn text(value: &[u8]) -> String {
    let end = value.iter().position(|byte| *byte == 0).unwrap_or(value.len());
    String::from_utf8_lossy(&value[..end]).into_owned()
}

/// Decodes `struct rtnl_link_stats64`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/if_link.h#L218>). Newer kernels have appended
/// counters; a counter beyond the end of the attribute is left out.
fn set_counters(interface: &mut Interface, statistics: &[u8]) {
    let counter = |at| read_u64(statistics, at);
    let required = |at| counter(at).unwrap_or(0);
    let detail = |causes: &[(&str, usize)]| {
        causes.iter().filter_map(|(name, at)| Some(((*name).to_owned(), counter(*at)?))).collect()
    };
    interface.rx = InterfaceCounters {
        bytes: required(offset_of!(rtnl_link_stats64, rx_bytes)),
        packets: required(offset_of!(rtnl_link_stats64, rx_packets)),
        errors: required(offset_of!(rtnl_link_stats64, rx_errors)),
        dropped: required(offset_of!(rtnl_link_stats64, rx_dropped)),
        detail: detail(RX_CAUSES),
    };
    interface.tx = InterfaceCounters {
        bytes: required(offset_of!(rtnl_link_stats64, tx_bytes)),
        packets: required(offset_of!(rtnl_link_stats64, tx_packets)),
        errors: required(offset_of!(rtnl_link_stats64, tx_errors)),
        dropped: required(offset_of!(rtnl_link_stats64, tx_dropped)),
        detail: detail(TX_CAUSES),
    };
    interface.multicast = required(offset_of!(rtnl_link_stats64, multicast));
    interface.collisions = required(offset_of!(rtnl_link_stats64, collisions));
}

const RX_CAUSES: &[(&str, usize)] = &[
    ("length", offset_of!(rtnl_link_stats64, rx_length_errors)),
    ("over", offset_of!(rtnl_link_stats64, rx_over_errors)),
    ("crc", offset_of!(rtnl_link_stats64, rx_crc_errors)),
    ("frame", offset_of!(rtnl_link_stats64, rx_frame_errors)),
    ("fifo", offset_of!(rtnl_link_stats64, rx_fifo_errors)),
    ("missed", offset_of!(rtnl_link_stats64, rx_missed_errors)),
    ("compressed", offset_of!(rtnl_link_stats64, rx_compressed)),
    ("nohandler", offset_of!(rtnl_link_stats64, rx_nohandler)),
    ("otherhost_dropped", offset_of!(rtnl_link_stats64, rx_otherhost_dropped)),
];

const TX_CAUSES: &[(&str, usize)] = &[
    ("aborted", offset_of!(rtnl_link_stats64, tx_aborted_errors)),
    ("carrier", offset_of!(rtnl_link_stats64, tx_carrier_errors)),
    ("fifo", offset_of!(rtnl_link_stats64, tx_fifo_errors)),
    ("heartbeat", offset_of!(rtnl_link_stats64, tx_heartbeat_errors)),
    ("window", offset_of!(rtnl_link_stats64, tx_window_errors)),
    ("compressed", offset_of!(rtnl_link_stats64, tx_compressed)),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::netlink::encode_attribute;

    /// Counter n has the value 100 + n.
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
    fn every_counter_is_decoded() {
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
    fn relations_of_bridge_port_are_decoded() {
        let mut bytes = message(25);
        assert_eq!(relations(&bytes), Ok(LinkRelations { index: 3, ..LinkRelations::default() }));
        bytes.extend(encode_attribute(libc::IFLA_MASTER, &9_u32.to_ne_bytes()));
        bytes.extend(encode_attribute(libc::IFLA_LINK_NETNSID, &0_u32.to_ne_bytes()));
        bytes.extend(encode_attribute(libc::IFLA_LINK, &4_u32.to_ne_bytes()));
        let expected = LinkRelations { index: 3, master: Some(9), link: Some(4), link_nsid: Some(0) };
        assert_eq!(relations(&bytes), Ok(expected));
        assert_eq!(relations(&bytes[..MESSAGE - 1]), Err(TOO_SHORT));
    }

    #[test]
    fn virtual_interface_has_a_kind() {
        let information = encode_attribute(libc::IFLA_INFO_KIND, b"veth\0");
        let veth = [message(25), encode_attribute(libc::IFLA_LINKINFO, &information)].concat();
        assert_eq!(kind(&veth).as_deref(), Some("veth"));
        assert_eq!(kind(&message(25)), None);
    }

    #[test]
    fn missing_counters_are_left_out() {
        let interface = interface(&message(23), 77).unwrap().unwrap();
        assert_eq!(interface.rx.detail.last().unwrap().0, "compressed");
    }

    #[test]
    fn cut_message_is_an_error() {
        assert!(interface(&message(25)[..MESSAGE - 1], 0).is_err());
        assert!(interface(&message(25)[..MESSAGE + 6], 0).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            drop(interface(&bytes, 0));
        }

        #[test]
        fn damaged_message_does_not_panic(at in 0_usize..290, value: u8) {
            let mut bytes = message(25);
            if let Some(byte) = bytes.get_mut(at) { *byte = value; }
            drop(interface(&bytes, 0));
        }
    }
}
