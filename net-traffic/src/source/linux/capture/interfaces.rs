//! The interfaces of this network namespace that packets can be captured on.

use std::fs;
use std::path::Path;

use crate::packet::format::LinkType;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) link: LinkType,
}

/// All interfaces, by their index.
pub(super) fn all() -> Vec<Found> {
    let Ok(entries) = fs::read_dir("/sys/class/net") else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<Found> = names.filter_map(|name| named(&name)).collect();
    found.sort_by_key(|interface| interface.index);
    found
}

/// The interface of this name; `None` if there is none, or its packets begin with something unknown.
pub(super) fn named(name: &str) -> Option<Found> {
    let directory = Path::new("/sys/class/net").join(name);
    let number = |file| fs::read_to_string(directory.join(file)).ok()?.trim().parse::<u32>().ok();
    let link = link_of(number("type")?)?;
    Some(Found { name: name.to_owned(), index: number("ifindex")?, link })
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
        let lo = named("lo").unwrap();
        assert_eq!((lo.link, lo.index), (LinkType::ETHERNET, 1));
        assert!(all().contains(&lo));
        assert_eq!(named("no-such-interface"), None);
    }
}
