//! Runs a filter expression on packets that come from a file.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

use pcap_filter::{CompileOptions, FilterError, NameTable, Program};
use pcap_io::{Interface, LinkType, MAX_SNAPLEN, Packet};

/// The paths on Linux and on Windows.
const SERVICES: [&str; 2] = ["/etc/services", r"C:\Windows\System32\drivers\etc\services"];
const PROTOCOLS: [&str; 2] = ["/etc/protocols", r"C:\Windows\System32\drivers\etc\protocol"];
const NETWORKS: [&str; 2] = ["/etc/networks", r"C:\Windows\System32\drivers\etc\networks"];
/// Windows has no such file.
const ETHERS: [&str; 2] = ["/etc/ethers"; 2];

/// The names of this system: services, protocols, networks and Ethernet addresses from its files, hosts from its
/// resolver.
#[must_use]
pub fn names() -> NameTable {
    let read = |paths: [&str; 2]| {
        let text = paths.into_iter().find_map(|path| std::fs::read(path).ok());
        String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
    };
    // Without these files an expression has to use numbers.
    NameTable::parse(&read(SERVICES), &read(PROTOCOLS))
        .with_places(&read(NETWORKS), &read(ETHERS))
        .with_hosts(addresses)
}

fn addresses(host: &str) -> Vec<IpAddr> {
    let Ok(found) = (host, 0).to_socket_addrs() else { return Vec::new() };
    let mut addresses: Vec<IpAddr> = Vec::new();
    for address in found.map(|address| address.ip()) {
        if !addresses.contains(&address) {
            addresses.push(address);
        }
    }
    addresses
}

/// The netmask for `ip broadcast` on packets of a file, which does not record the netmask of its interfaces. As in
/// tcpdump, only the addresses of all ones and of all zeros are broadcast then.
pub const FILE_NETMASK: u32 = 0;

/// Why an expression does not filter the packets of a file.
#[derive(Debug, thiserror::Error)]
pub enum UserFilterError {
    /// The expression does not compile.
    #[error("{0}")]
    Filter(FilterError),
    /// The compiler does not support this link type.
    #[error("packets of link type {0} cannot be filtered")]
    Link(u16),
}

/// An expression, compiled once for each link type of a file.
pub struct UserFilter {
    expression: String,
    optimize: bool,
    names: NameTable,
    programs: HashMap<LinkType, Program>,
}

impl UserFilter {
    /// Compiles nothing yet.
    #[must_use]
    pub fn new(expression: String, optimize: bool) -> Self {
        Self { expression, optimize, names: names(), programs: HashMap::new() }
    }

    /// Compiles the expression for a link type, unless that was done.
    ///
    /// # Errors
    /// If the expression has no meaning on this link type.
    pub fn compile(&mut self, link: LinkType) -> Result<(), UserFilterError> {
        if self.expression.trim().is_empty() || self.programs.contains_key(&link) {
            return Ok(());
        }
        let options = CompileOptions {
            linktype: link.0.try_into().ok().ok_or(UserFilterError::Link(link.0))?,
            netmask: Some(FILE_NETMASK),
            snaplen: MAX_SNAPLEN,
            names: &self.names,
            metadata: false,
            optimize: self.optimize,
        };
        let program = pcap_filter::compile(&self.expression, &options).map_err(UserFilterError::Filter)?;
        self.programs.insert(link, program);
        Ok(())
    }

    /// Whether the expression accepts the packet.
    ///
    /// # Errors
    /// As [`Self::compile`].
    pub fn accepts(
        &mut self,
        interfaces: &[Interface],
        packet: &Packet<'_>,
    ) -> Result<bool, UserFilterError> {
        let Some(interface) = interfaces.get(packet.interface) else { return Ok(false) };
        self.compile(interface.link)?;
        let Some(program) = self.programs.get(&interface.link) else { return Ok(true) };
        let packet = pcap_filter::Packet { data: packet.data, wire_length: packet.length, metadata: None };
        Ok(pcap_filter::run(&program.insns, packet) != 0)
    }
}

impl std::fmt::Debug for UserFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserFilter").field("expression", &self.expression).finish_non_exhaustive()
    }
}
