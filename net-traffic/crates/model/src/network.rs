//! An address or a prefix, as `--remote` accepts it: `192.0.2.7`, `10.0.0.0/8`, `2001:db8::/32`.

use std::net::IpAddr;
use std::str::FromStr;

/// An address and its prefix length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    #[error("'{0}' is not an IP address")]
    Address(String),
    #[error("'{length}' is not a prefix length; it is a number from 0 to {most} here")]
    Prefix { length: String, most: u8 },
}

impl Network {
    /// Whether the network contains the address. An IPv4-mapped IPv6 address counts as IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(net), IpAddr::V4(ip)) => {
                same(u128::from(net.to_bits()), u128::from(ip.to_bits()), 32 - self.prefix)
            }
            (IpAddr::V6(net), IpAddr::V6(ip)) => same(net.to_bits(), ip.to_bits(), 128 - self.prefix),
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let bare = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
        let Ok(address) = bare.parse::<IpAddr>() else {
            return Err(NetworkError::Address(address.to_owned()));
        };
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => most,
            Some(length) => match length.parse() {
                Ok(prefix) if prefix <= most && !length.starts_with('+') => prefix,
                _ => return Err(NetworkError::Prefix { length: length.to_owned(), most }),
            },
        };
        // Connections have canonical addresses, so the network is made canonical, too.
        Ok(match (address, address.to_canonical(), prefix.checked_sub(MAPPED)) {
            (IpAddr::V6(_), mapped @ IpAddr::V4(_), Some(prefix)) => Self { address: mapped, prefix },
            _ => Self { address, prefix },
        })
    }
}

/// The prefix length of `::ffff:0:0/96`, the IPv4-mapped IPv6 addresses (RFC 4291, section 2.5.5.2).
const MAPPED: u8 = 96;

/// Whether two addresses are equal in all but the last `free` bits.
fn same(one: u128, other: u128, free: u8) -> bool {
    (one ^ other).checked_shr(u32::from(free)).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn within(network: &str, address: &str) -> bool {
        network.parse::<Network>().unwrap().contains(address.parse().unwrap())
    }

    #[test]
    fn network_contains_addresses_with_its_prefix() {
        assert!(within("10.0.0.0/8", "10.255.0.1"));
        assert!(!within("10.0.0.0/8", "11.0.0.1"));
        assert!(within("192.0.2.7", "192.0.2.7"));
        assert!(!within("192.0.2.7", "192.0.2.6"));
        assert!(within("2001:db8::/32", "2001:db8:1::1"));
        assert!(within("[2001:db8::1]", "2001:db8::1"));
        assert!(within("0.0.0.0/0", "203.0.113.9"));
        assert!(!within("0.0.0.0/0", "2001:db8::1"));
        assert!(within("::/0", "2001:db8::1"));
        assert!(within("10.0.0.0/8", "::ffff:10.1.2.3"));
        assert!(within("::ffff:10.0.0.0/104", "10.1.2.3"));
        assert!(within("::ffff:10.1.2.3", "10.1.2.3"));
        assert!(!within("::ffff:10.1.2.3", "10.1.2.4"));
        assert!(within("::ffff:0:0/96", "203.0.113.9"));
    }

    #[test]
    fn malformed_network_is_refused() {
        for text in [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "host",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "1.2.3.4/8/8",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text} was accepted");
        }
    }
}
