//! Lists the interfaces of a network namespace that support a capture.

use std::io;

use nix::sys::socket::SockProtocol;

use linux_raw_sys::if_arp::{ARPHRD_IP6GRE, ARPHRD_RAWIP};

use crate::netlink::{Attributes, Malformed, Netlink, read_u16, read_u32};
use pcap_io::LinkType;

/// The length of `struct ifinfomsg`; attributes follow.
const MESSAGE: usize = 16;
/// The length of `struct ifaddrmsg`.
const ADDRESS: usize = 8;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CaptureInterface {
    pub(super) name: String,
    /// The alias (`ip link set alias`), else the kind of the device.
    pub(super) description: Option<String>,
    pub(super) index: u32,
    /// The bridge or bond that has the interface as a port.
    pub(super) master: Option<u32>,
    /// The peer of a veth in another network namespace.
    pub(super) peer: Option<VethPeer>,
    pub(super) link: LinkType,
    /// The netmask of the first IPv4 address, in host order.
    pub(super) netmask: Option<u32>,
}

/// The peer of a veth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VethPeer {
    /// The id of the peer's namespace in this namespace.
    pub(super) nsid: u32,
    /// The index in the peer's namespace.
    pub(super) index: u32,
}

/// All interfaces with a supported link type, sorted by index.
pub(super) fn all(netlink: &mut Netlink) -> io::Result<Vec<CaptureInterface>> {
    let mut found = Vec::new();
    netlink.dump(libc::RTM_GETLINK, &[0; MESSAGE], &mut found, interface)?;
    found.sort_by_key(|interface: &CaptureInterface| interface.index);
    let mut masks = Vec::new();
    netlink.dump(libc::RTM_GETADDR, &[0; ADDRESS], &mut masks, |payload| Ok(netmask(payload)))?;
    for interface in &mut found {
        let mask = masks.iter().find(|(index, _)| *index == interface.index);
        interface.netmask = mask.map(|(_, mask)| *mask);
    }
    Ok(found)
}

/// The interfaces of this process's network namespace.
pub(super) fn own() -> io::Result<Vec<CaptureInterface>> {
    all(&mut Netlink::open(SockProtocol::NetlinkRoute)?)
}

/// The interface and the netmask of an IPv4 address in an `RTM_NEWADDR` message.
fn netmask(payload: &[u8]) -> Option<(u32, u32)> {
    const IPV4: u8 = 2;
    let (Some([IPV4, prefix, ..]), Some(index)) = (payload.get(..ADDRESS), read_u32(payload, 4)) else {
        return None;
    };
    let hosts = u32::MAX.checked_shr(u32::from(*prefix)).unwrap_or(0);
    Some((index, !hosts))
}

/// Decodes one `RTM_NEWLINK` message.
fn interface(payload: &[u8]) -> Result<Option<CaptureInterface>, Malformed> {
    let short = Malformed("no room for an interface");
    let (hardware, index) = (read_u16(payload, 2).ok_or(short)?, read_u32(payload, 4).ok_or(short)?);
    let (mut name, mut alias, mut kind, mut master) = (None, None, None, None);
    let (mut peer, mut nsid) = (None, None);
    for attribute in Attributes(payload.get(MESSAGE..).ok_or(short)?) {
        match attribute? {
            (libc::IFLA_IFNAME, value) => name = Some(text(value)),
            (libc::IFLA_IFALIAS, value) => alias = Some(text(value)),
            (libc::IFLA_MASTER, value) => master = read_u32(value, 0),
            (libc::IFLA_LINK, value) => peer = read_u32(value, 0),
            (libc::IFLA_LINK_NETNSID, value) => nsid = read_u32(value, 0),
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
    let link = link_type(hardware);
    let is_pair = kind.as_deref() == Some("veth");
    let peer = peer.zip(nsid).filter(|_| is_pair).map(|(index, nsid)| VethPeer { nsid, index });
    let description = alias.or(kind);
    Ok(name.zip(link).map(|(name, link)| CaptureInterface {
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

/// The first header of packets in traffic control, by the hardware type of the interface.
fn link_type(hardware: u16) -> Option<LinkType> {
    match hardware {
        libc::ARPHRD_ETHER | libc::ARPHRD_LOOPBACK => Some(LinkType::ETHERNET),
        libc::ARPHRD_PPP
        | libc::ARPHRD_TUNNEL
        | libc::ARPHRD_TUNNEL6
        | libc::ARPHRD_SIT
        | libc::ARPHRD_IPGRE
        | libc::ARPHRD_NONE => Some(LinkType::RAW),
        other if [ARPHRD_IP6GRE, ARPHRD_RAWIP].contains(&other.into()) => Some(LinkType::RAW),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn netmask_has_the_bits_of_the_prefix() {
        let address = |family, prefix| [family, prefix, 0, 0, 7, 0, 0, 0];
        assert_eq!(netmask(&address(2, 24)), Some((7_u32.to_le(), 0xffff_ff00)));
        assert_eq!(netmask(&address(2, 32)), Some((7_u32.to_le(), u32::MAX)));
        assert_eq!(netmask(&address(10, 64)), None);
        assert_eq!(netmask(&[2]), None);
    }

    #[test]
    fn loopback_has_link_type_ethernet() {
        let all = own().unwrap();
        let lo = all.iter().find(|found| found.name == "lo").unwrap();
        assert_eq!((lo.link, lo.index), (LinkType::ETHERNET, 1));
    }
}
