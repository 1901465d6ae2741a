//! Ports and port ranges of TCP, UDP and SCTP, over both IP versions.

use super::super::bpf;
use super::super::error::FilterErrorKind;
use super::super::syntax::{Direction, Id, Kind, Protocol, Qualifiers};
use super::condition::CondId;
use super::link::{ETHERTYPE_IP, ETHERTYPE_IP6};
use super::offset::Origin;
use super::protocol::{SCTP, TCP, UDP};
use super::{Generator, Result};

/// Ports from `first` to `last`, of one transport protocol or of all three.
#[derive(Clone, Copy)]
struct Ports {
    first: u32,
    last: u32,
    transport: Option<u32>,
}

impl Generator<'_> {
    pub(super) fn port_id(&mut self, qualifiers: Qualifiers, id: &Id) -> Result<CondId> {
        let transport = match qualifiers.protocol {
            None => None,
            Some(Protocol::Tcp) => Some(TCP),
            Some(Protocol::Udp) => Some(UDP),
            Some(Protocol::Sctp) => Some(SCTP),
            Some(other) => {
                return Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "a port" });
            }
        };
        let ports = match id {
            Id::Number(port) => Ports { first: *port, last: *port, transport },
            Id::Word(name) => self.named_ports(name, qualifiers, transport)?,
            _ => return Err(FilterErrorKind::Qualifier { qualifier: "port", what: "an address" }),
        };
        for port in [ports.first, ports.last] {
            if port > 0xffff {
                return Err(FilterErrorKind::OutOfRange { what: "port", value: port, max: 0xffff });
            }
        }
        let as_range = qualifiers.kind == Kind::PortRange;
        let ip6 = self.ports(ports, ETHERTYPE_IP6, qualifiers.direction, as_range)?;
        let ip = self.ports(ports, ETHERTYPE_IP, qualifiers.direction, as_range)?;
        Ok(self.conditions.or(ip6, ip))
    }

    /// A service with a port of one protocol only restricts the match to that protocol.
    fn named_ports(&self, name: &str, qualifiers: Qualifiers, transport: Option<u32>) -> Result<Ports> {
        let (first, last) = if qualifiers.kind == Kind::PortRange {
            let unknown = || FilterErrorKind::UnknownName { what: "port range", name: name.to_owned() };
            let numbers = leading_numbers(name);
            if let Some((first, last)) = numbers {
                return Ok(Ports { first, last, transport });
            }
            let (first, last) = name.split_once('-').ok_or_else(unknown)?;
            (self.service(first).ok_or_else(unknown)?, self.service(last).ok_or_else(unknown)?)
        } else {
            let unknown = || FilterErrorKind::UnknownName { what: "port", name: name.to_owned() };
            let service = self.service(name).ok_or_else(unknown)?;
            (service, service)
        };
        let named = if first.transport == last.transport { first.transport } else { None };
        let transport = match (transport, named) {
            (Some(wanted), Some(named)) if wanted != named => {
                let what = if named == TCP { "a port that only TCP has" } else { "a port that only UDP has" };
                let qualifier = qualifiers.protocol.map_or("port", Protocol::name);
                return Err(FilterErrorKind::Qualifier { qualifier, what });
            }
            (wanted, named) => wanted.or(named),
        };
        Ok(Ports { first: first.first, last: last.first, transport })
    }

    fn service(&self, name: &str) -> Option<Ports> {
        let (port, transport) = if let Ok(port) = name.parse::<u16>() {
            (port, None)
        } else {
            let service = self.options.names.service(name);
            match (service.tcp, service.udp) {
                (Some(tcp), Some(udp)) if tcp == udp => (tcp, None),
                (_, Some(udp)) => (udp, Some(UDP)),
                (Some(tcp), None) => (tcp, Some(TCP)),
                (None, None) => return None,
            }
        };
        Some(Ports { first: port.into(), last: port.into(), transport })
    }

    fn ports(
        &mut self,
        ports: Ports,
        kind: u32,
        direction: Option<Direction>,
        as_range: bool,
    ) -> Result<CondId> {
        let carried = self.linktype(kind)?;
        let any = if let Some(transport) = ports.transport {
            self.transport_ports(ports, kind, transport, direction, as_range)?
        } else {
            let sctp = self.transport_ports(ports, kind, SCTP, direction, as_range)?;
            let tcp = self.transport_ports(ports, kind, TCP, direction, as_range)?;
            let udp = self.transport_ports(ports, kind, UDP, direction, as_range)?;
            let tcp_or_udp = self.conditions.or(tcp, udp);
            self.conditions.or(sctp, tcp_or_udp)
        };
        Ok(self.conditions.and(carried, any))
    }

    /// The ports of one transport protocol. Only the first fragment of an IPv4 packet has them. libpcap treats an IPv6
    /// packet as unfragmented.
    fn transport_ports(
        &mut self,
        ports: Ports,
        kind: u32,
        transport: u32,
        direction: Option<Direction>,
        as_range: bool,
    ) -> Result<CondId> {
        let (guard, origin) = if kind == ETHERTYPE_IP {
            let protocol = self.equal(Origin::Network.byte(9), transport);
            let first_fragment = self.first_fragment();
            (self.conditions.and(protocol, first_fragment), Origin::Ipv4Payload)
        } else {
            (self.equal(Origin::Network.byte(6), transport), Origin::Ipv6Payload)
        };
        let (first, last) = (ports.first.min(ports.last), ports.first.max(ports.last));
        let matched = self.either_end(direction, |generator, source| {
            let offset = if source { 0 } else { 2 };
            if !as_range {
                return Ok(generator.equal(origin.half(offset), first));
            }
            let from = generator.compare(origin.half(offset), bpf::JGE, first);
            let beyond = generator.compare(origin.half(offset), bpf::JGT, last);
            let to = generator.conditions.not(beyond);
            Ok(generator.conditions.and(from, to))
        })?;
        Ok(self.conditions.and(guard, matched))
    }

    /// One UDP destination port over one IP version.
    pub(super) fn udp_destination(&mut self, port: u32, kind: u32) -> Result<CondId> {
        let ports = Ports { first: port, last: port, transport: Some(UDP) };
        self.ports(ports, kind, Some(Direction::Dst), false)
    }

    /// A test whether an IPv4 packet is unfragmented or the first fragment.
    pub(super) fn first_fragment(&mut self) -> CondId {
        let later = self.compare(Origin::Network.half(6), bpf::JSET, 0x1fff);
        self.conditions.not(later)
    }
}

/// `80-90`: two decimal numbers. Text after them is ignored, as in libpcap.
fn leading_numbers(name: &str) -> Option<(u32, u32)> {
    let (first, rest) = name.split_once('-')?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let decimal = first.bytes().all(|c| c.is_ascii_digit());
    if !decimal {
        return None;
    }
    Some((first.parse().ok()?, rest.get(..digits)?.parse().ok()?))
}
