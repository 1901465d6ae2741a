//! The interfaces of this network namespace that packets can be captured on.

use std::io;

use nix::sys::socket::SockProtocol;

use crate::packet::format::LinkType;
use crate::source::linux::netlink::{Attributes, Malformed, Netlink, read_u16, read_u32};

/// The length of `struct ifinfomsg`; attributes follow.
const MESSAGE: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    /// The alias that somebody gave it, or else what kind of device it is.
    pub(super) description: Option<String>,
    pub(super) index: u32,
    pub(super) link: LinkType,
}

/// All interfaces whose packets begin with something known, by their index.
pub(super) fn all() -> io::Result<Vec<Found>> {
    let mut netlink = Netlink::open(SockProtocol::NetlinkRoute)?;
    let mut found = Vec::new();
    netlink.dump(libc::RTM_GETLINK, &[0; MESSAGE], &mut found, interface)?;
    found.sort_by_key(|interface: &Found| interface.index);
    Ok(found)
}

/// One answer.
fn interface(payload: &[u8]) -> Result<Option<Found>, Malformed> {
    let short = Malformed("no room for an interface");
    let (hardware, index) = (read_u16(payload, 2).ok_or(short)?, read_u32(payload, 4).ok_or(short)?);
    let (mut name, mut alias, mut kind) = (None, None, None);
    for attribute in Attributes(payload.get(MESSAGE..).ok_or(short)?) {
        match attribute? {
            (libc::IFLA_IFNAME, value) => name = Some(text(value)),
            (libc::IFLA_IFALIAS, value) => alias = Some(text(value)),
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
    let description = alias.or(kind);
    let link = link_of(hardware.into());
    Ok(name.zip(link).map(|(name, link)| Found { name, description, index, link }))
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
    fn loopback_looks_like_ethernet() {
        let all = all().unwrap();
        let lo = all.iter().find(|found| found.name == "lo").unwrap();
        assert_eq!((lo.link, lo.index), (LinkType::ETHERNET, 1));
    }
}
