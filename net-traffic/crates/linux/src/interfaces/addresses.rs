//! Decodes one `RTM_NEWADDR` message. Pure: bytes in, an interface's index and one of the interface's addresses out.

use std::net::IpAddr;

use crate::netlink::{Attributes, Malformed, read_u32};

/// The length of `struct ifaddrmsg`; attributes follow.
const MESSAGE: usize = 8;
const TOO_SHORT: Malformed = Malformed("no room for an address");

/// The index and the address; `None` if the message has no address.
///
/// On a point-to-point link `IFA_ADDRESS` is the address of the peer, and `IFA_LOCAL` that of the interface
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/if_addr.h#L18>).
pub(super) fn address(payload: &[u8]) -> Result<Option<(u32, IpAddr)>, Malformed> {
    let (header, attributes) = payload.split_at_checked(MESSAGE).ok_or(TOO_SHORT)?;
    let index = read_u32(header, 4).ok_or(TOO_SHORT)?;
    let (mut local, mut address) = (None, None);
    for attribute in Attributes(attributes) {
        match attribute? {
            (libc::IFA_LOCAL, value) => local = ip(value),
            (libc::IFA_ADDRESS, value) => address = ip(value),
            _ => {}
        }
    }
    Ok(local.or(address).map(|address| (index, address)))
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(value).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(value).ok().map(IpAddr::from);
    v4().or_else(v6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::encode_attribute;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut message = vec![2, 24, 0, 0];
        message.extend(7u32.to_ne_bytes());
        for (kind, value) in attributes {
            message.extend(encode_attribute(*kind, value));
        }
        message
    }

    #[test]
    fn local_address_of_point_to_point_link_wins() {
        let both = message(&[(libc::IFA_ADDRESS, &[10, 0, 0, 2]), (libc::IFA_LOCAL, &[10, 0, 0, 1])]);
        assert_eq!(address(&both).unwrap(), Some((7, IpAddr::from([10, 0, 0, 1]))));
        let ipv6 = message(&[(libc::IFA_ADDRESS, &[0xfe; 16])]);
        assert_eq!(address(&ipv6).unwrap(), Some((7, IpAddr::from([0xfe; 16]))));
    }

    #[test]
    fn message_without_valid_address_is_none() {
        assert!(address(&[0; 7]).is_err());
        assert_eq!(address(&message(&[])).unwrap(), None);
        assert_eq!(address(&message(&[(libc::IFA_LOCAL, &[1, 2, 3])])).unwrap(), None);
    }
}
