//! Runs a filter on packets that come from a file.

use std::collections::HashMap;
use std::net::{IpAddr, ToSocketAddrs};

use super::options::filter_link;
use pcap_filter::{CompileOptions, FilterError, NameTable, Packet as FilterPacket, Program};
use pcap_io::format::{LinkType, MAX_SNAPLEN};
use pcap_io::{Interface, Packet};

/// Where a system has them: Linux, Windows.
const SERVICES: [&str; 2] = ["/etc/services", r"C:\Windows\System32\drivers\etc\services"];
const PROTOCOLS: [&str; 2] = ["/etc/protocols", r"C:\Windows\System32\drivers\etc\protocol"];
const NETWORKS: [&str; 2] = ["/etc/networks", r"C:\Windows\System32\drivers\etc\networks"];
/// Only Linux knows this one.
const ETHERS: [&str; 2] = ["/etc/ethers"; 2];

/// The names that this machine knows. A host in an expression is looked up as any program looks it up.
#[must_use]
pub fn names() -> NameTable {
    let read = |paths: [&str; 2]| {
        let text = paths.into_iter().find_map(|path| std::fs::read(path).ok());
        String::from_utf8_lossy(&text.unwrap_or_default()).into_owned()
    };
    // A machine without these files has no names; numbers do.
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

/// A file does not tell the interface's, and tcpdump does without: then only the addresses of all ones and of all zeros
/// are broadcast.
pub const FILE_NETMASK: u32 = 0;

/// Why packets of a file cannot be filtered.
#[derive(Debug, thiserror::Error)]
pub enum UserFilterError {
    #[error("{0}")]
    Filter(FilterError),
    #[error("packets of link type {0} cannot be filtered")]
    Link(u16),
}

/// An expression, compiled for each link type that turns up.
pub struct UserFilter {
    expression: String,
    optimize: bool,
    names: NameTable,
    programs: HashMap<LinkType, Program>,
}

impl UserFilter {
    #[must_use]
    pub fn new(expression: String, optimize: bool) -> Self {
        Self { expression, optimize, names: names(), programs: HashMap::new() }
    }

    /// Compiles for packets of a link type.
    ///
    /// # Errors
    /// When the expression has no meaning there.
    pub fn compile(&mut self, link: LinkType) -> Result<(), UserFilterError> {
        if self.expression.trim().is_empty() || self.programs.contains_key(&link) {
            return Ok(());
        }
        let options = CompileOptions {
            linktype: filter_link(link).ok_or(UserFilterError::Link(link.0))?,
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

    /// Whether the packet is wanted.
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
        let packet = FilterPacket { octets: packet.data, wire_length: packet.length, metadata: None };
        Ok(pcap_filter::run(&program.insns, packet) != 0)
    }
}

impl std::fmt::Debug for UserFilter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UserFilter").field("expression", &self.expression).finish_non_exhaustive()
    }
}
