//! The UDP port at which the kernel takes the packets of a `WireGuard` interface. Rtnetlink does not know it:
//! `WireGuard` itself is asked, by generic netlink.

use std::io;

use nix::sys::socket::SockProtocol;

use crate::source::linux::netlink::{Attributes, Malformed, Netlink, encode_attribute, read_u16};
use crate::source::linux::netns::NetNs;

/// What `ip link` calls such an interface.
pub(super) const KIND: &str = "wireguard";

/// The way to `WireGuard`, found when the first such interface is there.
#[derive(Default)]
pub(super) struct WireGuard(Option<(Netlink, u16)>);

/// `GENL_ID_CTRL`, `CTRL_CMD_GETFAMILY`, and its attributes, of `linux/genetlink.h`.
const CONTROLLER: u16 = 0x10;
const GET_FAMILY: u8 = 3;
const FAMILY_ID: u16 = 1;
const FAMILY_NAME: u16 = 2;
/// `WG_CMD_GET_DEVICE` and its attributes, of `linux/wireguard.h`.
const GET_DEVICE: u8 = 0;
const IFINDEX: u16 = 1;
const LISTEN_PORT: u16 = 6;
/// The length of `struct genlmsghdr`.
const MESSAGE: usize = 4;

impl WireGuard {
    /// The port of an interface, in network order; `None` if it has none or is gone.
    pub(super) fn port(&mut self, netns: &NetNs, ifindex: u32) -> Option<u16> {
        if self.0.is_none() {
            self.0 = find(netns).ok().flatten();
        }
        let (netlink, family) = self.0.as_mut()?;
        let request = request(GET_DEVICE, IFINDEX, &ifindex.to_ne_bytes());
        let mut ports = Vec::new();
        // Without the right to ask, the outside of the tunnel looks like a process's.
        netlink.dump(*family, &request, &mut ports, |answer| number(answer, LISTEN_PORT)).ok()?;
        ports.first().map(|port| port.to_be())
    }
}

fn find(netns: &NetNs) -> io::Result<Option<(Netlink, u16)>> {
    let mut netlink = netns.run(|| Netlink::open(SockProtocol::NetlinkGeneric))??;
    let request = request(GET_FAMILY, FAMILY_NAME, b"wireguard\0");
    let family = netlink.one(CONTROLLER, &request, |answer| number(answer, FAMILY_ID))?;
    Ok(family.map(|family| (netlink, family)))
}

fn request(command: u8, attribute: u16, value: &[u8]) -> Vec<u8> {
    const VERSION: u8 = 1;
    let mut body = vec![command, VERSION, 0, 0];
    body.extend(encode_attribute(attribute, value));
    body
}

fn number(answer: &[u8], wanted: u16) -> Result<Option<u16>, Malformed> {
    for attribute in Attributes(answer.get(MESSAGE..).unwrap_or_default()) {
        let (kind, value) = attribute?;
        if kind == wanted {
            return Ok(read_u16(value, 0));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_found_in_an_answer() {
        let answer = |port: u16| {
            let index = encode_attribute(IFINDEX, &7_u32.to_ne_bytes());
            [vec![0; MESSAGE], index, encode_attribute(LISTEN_PORT, &port.to_ne_bytes())].concat()
        };
        assert_eq!(number(&answer(51_820), LISTEN_PORT), Ok(Some(51_820)));
        assert_eq!(number(&answer(51_820)[..12], LISTEN_PORT), Ok(None));
        assert_eq!(number(&[], LISTEN_PORT), Ok(None));
        assert!(number(&answer(51_820)[..17], LISTEN_PORT).is_err());
    }

    #[test]
    fn who_knows_no_wireguard_says_so() {
        let netns = NetNs::own().unwrap();
        // Loopback is none, whether this kernel has such interfaces or not.
        assert_eq!(WireGuard::default().port(&netns, 1), None);
    }
}
