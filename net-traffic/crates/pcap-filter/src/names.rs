//! Names in an expression: the trait that resolves them, and a table made of the text of `/etc/services` and its like.
//! The caller reads the files.

use std::collections::HashMap;
use std::net::IpAddr;

/// Resolves the names in an expression.
pub trait Names {
    /// The ports of a service, as in `/etc/services`.
    fn service(&self, name: &str) -> Service;
    /// The number of an IP protocol, as in `/etc/protocols`.
    fn protocol(&self, name: &str) -> Option<u32>;
    /// The addresses of a host. Empty: the name is unknown.
    fn host(&self, _name: &str) -> Vec<IpAddr> {
        Vec::new()
    }
    /// An IPv4 network number, as in `/etc/networks`, in host order.
    fn network(&self, _name: &str) -> Option<u32> {
        None
    }
    /// An Ethernet address, as in `/etc/ethers`.
    fn ether(&self, _name: &str) -> Option<[u8; 6]> {
        None
    }
}

/// The ports of a service. A service without any is unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Service {
    /// The TCP port.
    pub tcp: Option<u16>,
    /// The UDP port.
    pub udp: Option<u16>,
}

/// Names from the text of files, and hosts from a function of the caller.
#[derive(Debug, Clone, Default)]
pub struct NameTable {
    services: HashMap<String, Service>,
    protocols: HashMap<String, u32>,
    networks: HashMap<String, u32>,
    ethers: HashMap<String, [u8; 6]>,
    hosts: Option<FindHost>,
}

/// Resolves the name of a host.
pub type FindHost = fn(&str) -> Vec<IpAddr>;

impl NameTable {
    /// Parses the text of `/etc/services` and `/etc/protocols`. Malformed lines are skipped. Of several entries for a
    /// name the first counts.
    #[must_use]
    pub fn parse(services: &str, protocols: &str) -> Self {
        let mut table = Self::default();
        for (names, value) in services.lines().filter_map(entry) {
            let Some((port, protocol)) = value.split_once('/') else { continue };
            let Ok(port) = port.parse() else { continue };
            for name in names {
                let service = table.services.entry(name.to_owned()).or_default();
                match protocol {
                    "tcp" => service.tcp = service.tcp.or(Some(port)),
                    "udp" => service.udp = service.udp.or(Some(port)),
                    _ => {}
                }
            }
        }
        for (names, value) in protocols.lines().filter_map(entry) {
            let Ok(number) = value.parse() else { continue };
            for name in names {
                table.protocols.entry(name.to_owned()).or_insert(number);
            }
        }
        table
    }

    /// Adds the text of `/etc/networks` and `/etc/ethers`.
    #[must_use]
    pub fn with_places(mut self, networks: &str, ethers: &str) -> Self {
        for (names, value) in networks.lines().filter_map(entry) {
            let Some(number) = network_number(value) else { continue };
            for name in names {
                self.networks.entry(name.to_owned()).or_insert(number);
            }
        }
        // In this file the address precedes the name.
        for (names, value) in ethers.lines().filter_map(entry) {
            if let Some(address) = names.first().and_then(|address| ether_address(address)) {
                self.ethers.entry(value.to_owned()).or_insert(address);
            }
        }
        self
    }

    /// Adds a function that resolves hosts.
    #[must_use]
    pub fn with_hosts(self, find: FindHost) -> Self {
        Self { hosts: Some(find), ..self }
    }
}

impl Names for NameTable {
    fn service(&self, name: &str) -> Service {
        self.services.get(name).copied().unwrap_or_default()
    }

    fn protocol(&self, name: &str) -> Option<u32> {
        self.protocols.get(name).copied()
    }

    fn host(&self, name: &str) -> Vec<IpAddr> {
        self.hosts.map_or_else(Vec::new, |find| find(name))
    }

    fn network(&self, name: &str) -> Option<u32> {
        self.networks.get(name).copied()
    }

    fn ether(&self, name: &str) -> Option<[u8; 6]> {
        self.ethers.get(name).copied()
    }
}

/// Up to four numbers with dots. Missing numbers at the end are 0.
fn network_number(text: &str) -> Option<u32> {
    let mut bytes = [0; 4];
    for (place, number) in text.split('.').enumerate() {
        *bytes.get_mut(place)? = number.parse().ok()?;
    }
    Some(u32::from_be_bytes(bytes))
}

fn ether_address(text: &str) -> Option<[u8; 6]> {
    let mut bytes = [0; 6];
    let mut digits = text.split(':');
    for byte in &mut bytes {
        *byte = u8::from_str_radix(digits.next()?, 16).ok()?;
    }
    digits.next().is_none().then_some(bytes)
}

/// The names and the value of a line `name value alias…`.
fn entry(line: &str) -> Option<(Vec<&str>, &str)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let (name, value) = (words.next()?, words.next()?);
    Some((std::iter::once(name).chain(words).collect(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_file_resolves_names_and_aliases() {
        let table = NameTable::parse("# none\nsmtp 25/tcp mail # post\ndomain 53/tcp\ndomain 53/udp\n", "");
        assert_eq!(table.service("mail"), Service { tcp: Some(25), udp: None });
        assert_eq!(table.service("domain"), Service { tcp: Some(53), udp: Some(53) });
        assert_eq!(table.service("post"), Service::default());
    }

    #[test]
    fn networks_ethers_and_hosts_resolve() {
        let table = NameTable::default()
            .with_places("loopback 127.0.0.0\nlink-local 169.254\nbad 300\n", "2:0:0:0:0:a gate\n1:2 no\n");
        assert_eq!(table.network("loopback"), Some(0x7f00_0000));
        assert_eq!(table.network("link-local"), Some(0xa9fe_0000));
        assert_eq!((table.network("bad"), table.ether("no")), (None, None));
        assert_eq!(table.ether("gate"), Some([2, 0, 0, 0, 0, 10]));
        let table =
            table.with_hosts(|name| if name == "a" { vec![[10, 0, 0, 1].into()] } else { Vec::new() });
        assert_eq!((table.host("a").len(), table.host("b").len()), (1, 0));
    }

    #[test]
    fn protocols_file_resolves_names_and_aliases() {
        let table = NameTable::parse("", "tcp\t6\tTCP\t# it\nbad line\n");
        assert_eq!((table.protocol("TCP"), table.protocol("bad")), (Some(6), None));
    }
}
