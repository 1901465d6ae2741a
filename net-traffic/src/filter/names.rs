//! Names in an expression: the questions that the compiler asks, and tables made from the text of the usual files.
//! Reading the files is the caller's affair.

use std::collections::HashMap;
use std::net::IpAddr;

/// Answers what a name in an expression stands for.
pub trait Names {
    /// The ports of a service, as in `/etc/services`.
    fn service(&self, name: &str) -> Service;
    /// The number of an IP protocol, as in `/etc/protocols`.
    fn protocol(&self, name: &str) -> Option<u32>;
    /// The addresses of a host.
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

/// The ports that a service name stands for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Service {
    pub tcp: Option<u16>,
    pub udp: Option<u16>,
}

/// Services and protocols from the text of two files; no hosts, networks or Ethernet addresses.
#[derive(Debug, Clone, Default)]
pub struct NameTable {
    services: HashMap<String, Service>,
    protocols: HashMap<String, u32>,
}

impl NameTable {
    /// Reads what `/etc/services` and `/etc/protocols` hold. Lines that are neither are skipped; the first entry counts.
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
}

impl Names for NameTable {
    fn service(&self, name: &str) -> Service {
        self.services.get(name).copied().unwrap_or_default()
    }

    fn protocol(&self, name: &str) -> Option<u32> {
        self.protocols.get(name).copied()
    }
}

/// A line `name value alias…` as its names and its value.
fn entry(line: &str) -> Option<(Vec<&str>, &str)> {
    let mut words = line.split('#').next()?.split_whitespace();
    let (name, value) = (words.next()?, words.next()?);
    Some((std::iter::once(name).chain(words).collect(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_have_aliases_and_comments() {
        let table = NameTable::parse("# none\nsmtp 25/tcp mail # post\ndomain 53/tcp\ndomain 53/udp\n", "");
        assert_eq!(table.service("mail"), Service { tcp: Some(25), udp: None });
        assert_eq!(table.service("domain"), Service { tcp: Some(53), udp: Some(53) });
        assert_eq!(table.service("post"), Service::default());
    }

    #[test]
    fn protocols_have_numbers() {
        let table = NameTable::parse("", "tcp\t6\tTCP\t# it\nbad line\n");
        assert_eq!((table.protocol("TCP"), table.protocol("bad")), (Some(6), None));
    }
}
