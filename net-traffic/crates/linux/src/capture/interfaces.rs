//! The interfaces of this network namespace that packets can be captured on.

use std::io;

use nix::sys::socket::SockProtocol;

use crate::netlink::{Attributes, Malformed, Netlink, read_u16, read_u32};
use pcap_io::LinkType;

/// The length of `struct ifinfomsg`; attributes follow.
const MESSAGE: usize = 16;
/// That of `struct ifaddrmsg`.
const ADDRESS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    /// The alias that somebody gave it, or else what kind of device it is.
    pub(super) description: Option<String>,
    pub(super) index: u32,
    /// The bridge or bond that it is a part of.
    pub(super) master: Option<u32>,
    /// Its other end, if that is in another network namespace.
    pub(super) peer: Option<Peer>,
    pub(super) link: LinkType,
    /// Of its first IPv4 address, in host order.
    pub(super) netmask: Option<u32>,
}

/// The other end of a pair of interfaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    /// The kernel's number of its namespace, as seen from here.
    pub(super) netns: u32,
    /// Its index there.
    pub(super) index: u32,
}

/// All interfaces whose packets begin with something known, by their index.
pub(super) fn all(netlink: &mut Netlink) -> io::Result<Vec<Found>> {
    let mut found = Vec::new();
    netlink.dump(libc::RTM_GETLINK, &[0; MESSAGE], &mut found, interface)?;
    found.sort_by_key(|interface: &Found| interface.index);
    let mut masks = Vec::new();
    netlink.dump(libc::RTM_GETADDR, &[0; ADDRESS], &mut masks, |payload| Ok(netmask(payload)))?;
    for interface in &mut found {
        let mask = masks.iter().find(|(index, _)| *index == interface.index);
        interface.netmask = mask.map(|(_, mask)| *mask);
    }
    Ok(found)
}

/// Of this process's network namespace.
pub(super) fn own() -> io::Result<Vec<Found>> {
    all(&mut Netlink::open(SockProtocol::NetlinkRoute)?)
}

/// The interface and the netmask of an IPv4 address.
fn netmask(payload: &[u8]) -> Option<(u32, u32)> {
    const IPV4: u8 = 2;
    let (Some([IPV4, prefix, ..]), Some(index)) = (payload.get(..ADDRESS), read_u32(payload, 4)) else {
        return None;
    };
    let hosts = u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
    Some((index, !hosts))
}

/// One answer.
fn interface(payload: &[u8]) -> Result<Option<Found>, Malformed> {
    let short = Malformed("no room for an interface");
    let (hardware, index) = (read_u16(payload, 2).ok_or(short)?, read_u32(payload, 4).ok_or(short)?);
    let (mut name, mut alias, mut kind, mut master) = (None, None, None, None);
    let (mut peer, mut netns) = (None, None);
    for attribute in Attributes(payload.get(MESSAGE..).ok_or(short)?) {
        match attribute? {
            (libc::IFLA_IFNAME, value) => name = Some(text(value)),
            (libc::IFLA_IFALIAS, value) => alias = Some(text(value)),
            (libc::IFLA_MASTER, value) => master = read_u32(value, 0),
            (libc::IFLA_LINK, value) => peer = read_u32(value, 0),
            (libc::IFLA_LINK_NETNSID, value) => netns = read_u32(value, 0),
            (libc::IFLA_LINKINFO, value) => {
                for info in Attributes(value) {
                    if let (libc::IFLA_INFO_KIND, value) = info? {
                        kind = Some(text(value));
                    }
                }
            }
            _ => {}
        }
    }
    let link = link_of(hardware.into());
    let is_pair = kind.as_deref() == Some("veth");
    let peer = peer.zip(netns).filter(|_| is_pair).map(|(index, netns)| Peer { netns, index });
    let description = alias.or(kind);
    Ok(name.zip(link).map(|(name, link)| Found {
        name,
        description,
        index,
        master,
        peer,
        link,
        netmask: None,
    }))
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value).trim_end_matches('\0').to_owned()
}

/// What the packets of a type of hardware begin with, where the traffic control sees them.
fn link_of(hardware: u32) -> Option<LinkType> {
    const ETHER: u32 = 1;
    const LOOPBACK: u32 = 772;
    const PPP: u32 = 512;
    const TUNNEL: u32 = 768;
    const TUNNEL6: u32 = 769;
    const SIT: u32 = 776;
    const IPGRE: u32 = 778;
    const IP6GRE: u32 = 823;
    const RAWIP: u32 = 519;
    const NONE: u32 = 0xfffe;
    match hardware {
        ETHER | LOOPBACK => Some(LinkType::ETHERNET),
        PPP | TUNNEL | TUNNEL6 | SIT | IPGRE | IP6GRE | RAWIP | NONE => Some(LinkType::RAW),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_netmask_has_as_many_bits_as_the_prefix() {
        let address = |family, prefix| [family, prefix, 0, 0, 7, 0, 0, 0];
        assert_eq!(netmask(&address(2, 24)), Some((7_u32.to_le(), 0xffff_ff00)));
        assert_eq!(netmask(&address(2, 32)), Some((7_u32.to_le(), u32::MAX)));
        assert_eq!(netmask(&address(10, 64)), None);
        assert_eq!(netmask(&[2]), None);
    }

    #[test]
    fn loopback_looks_like_ethernet() {
        let all = own().unwrap();
        let lo = all.iter().find(|found| found.name == "lo").unwrap();
        assert_eq!((lo.link, lo.index), (LinkType::ETHERNET, 1));
    }
}
