//! Identifiers: the choice by their kind, hosts and networks.

use std::net::{IpAddr, Ipv6Addr};

use super::super::error::FilterErrorKind;
use super::super::syntax::{Direction, Id, Kind, Protocol, Qualifiers};
use super::condition::CondId;
use super::link::{ETHERTYPE_ARP, ETHERTYPE_DECNET, ETHERTYPE_IP, ETHERTYPE_IP6, ETHERTYPE_RARP};
use super::offset::Origin;
use super::{Generator, Result};

/// An IPv4 address and its mask, in host order.
#[derive(Clone, Copy)]
struct Net {
    address: u32,
    mask: u32,
}

impl Generator<'_> {
    pub(super) fn id(&mut self, qualifiers: Qualifiers, id: &Id) -> Result<CondId> {
        match qualifiers.kind {
            Kind::Gateway => Err(FilterErrorKind::Gateway),
            Kind::Port | Kind::PortRange => self.port_id(qualifiers, id),
            Kind::Proto | Kind::ProtoChain => self.proto_id(qualifiers, id),
            Kind::Default | Kind::Host | Kind::Net => self.host_id(qualifiers, id),
        }
    }

    fn host_id(&mut self, qualifiers: Qualifiers, id: &Id) -> Result<CondId> {
        let Qualifiers { protocol, direction, kind } = qualifiers;
        if protocol == Some(Protocol::Decnet) && matches!(id, Id::Number(_) | Id::Dotted(_)) {
            return self.decnet_host(decnet_address(id)?, direction);
        }
        match id {
            Id::Number(address) => {
                let net = if kind == Kind::Net { promoted(*address) } else { exactly(*address) };
                self.ipv4_host(net, qualifiers)
            }
            Id::Dotted(text) => self.ipv4_host(dotted(text)?, qualifiers),
            Id::DottedPrefix(text, length) => {
                let mask = match length {
                    0 => 0,
                    1..=32 => u32::MAX << (32 - length),
                    _ => {
                        return Err(FilterErrorKind::OutOfRange {
                            what: "prefix length",
                            value: *length,
                            max: 32,
                        });
                    }
                };
                self.ipv4_net(text, mask, qualifiers)
            }
            Id::DottedMask(text, mask) => {
                let mask = dotted(mask)?.address;
                self.ipv4_net(text, mask, qualifiers)
            }
            Id::Ipv6(address, length) => {
                if *length > 128 {
                    return Err(FilterErrorKind::OutOfRange {
                        what: "prefix length",
                        value: *length,
                        max: 128,
                    });
                }
                if kind != Kind::Net && *length != 128 {
                    return Err(FilterErrorKind::Qualifier { qualifier: "host", what: "a prefix" });
                }
                self.ipv6_host(*address, *length, qualifiers)
            }
            Id::Ether(address) => match protocol {
                Some(Protocol::Link) if kind != Kind::Net => self.ether_host(*address, direction),
                _ => Err(FilterErrorKind::Qualifier {
                    qualifier: protocol.map_or("host", Protocol::name),
                    what: "an Ethernet address, which needs `ether` or `ether host`",
                }),
            },
            Id::Word(name) => self.named_host(name, qualifiers),
        }
    }

    fn named_host(&mut self, name: &str, qualifiers: Qualifiers) -> Result<CondId> {
        let names = self.options.names;
        let unknown = |what| FilterErrorKind::UnknownName { what, name: name.to_owned() };
        if qualifiers.kind == Kind::Net {
            let network = names.network(name).ok_or_else(|| unknown("network"))?;
            return self.ipv4_host(promoted(network), qualifiers);
        }
        if qualifiers.protocol == Some(Protocol::Link) {
            let address = names.ether(name).ok_or_else(|| unknown("Ethernet host"))?;
            return self.ether_host(address, qualifiers.direction);
        }
        if qualifiers.protocol == Some(Protocol::Decnet) {
            return Err(unknown("DECnet host"));
        }
        let mut joined = None;
        for address in names.host(name) {
            let test = match (address, qualifiers.protocol) {
                (IpAddr::V4(_), Some(Protocol::Ip6))
                | (IpAddr::V6(_), Some(Protocol::Ip | Protocol::Arp | Protocol::Rarp)) => continue,
                (IpAddr::V4(address), _) => self.ipv4_host(exactly(address.into()), qualifiers)?,
                (IpAddr::V6(address), _) => self.ipv6_host(address, 128, qualifiers)?,
            };
            joined = Some(match joined {
                None => test,
                Some(joined) => self.conditions.or(joined, test),
            });
        }
        joined.ok_or_else(|| unknown("host"))
    }

    fn ipv4_net(&mut self, text: &str, mask: u32, qualifiers: Qualifiers) -> Result<CondId> {
        let Net { address, .. } = dotted(text)?;
        if address & !mask != 0 {
            return Err(FilterErrorKind::HostBitsSet(text.to_owned()));
        }
        if qualifiers.kind != Kind::Net {
            return Err(FilterErrorKind::Qualifier {
                qualifier: "host",
                what: "a network, which needs `net`",
            });
        }
        self.ipv4_host(Net { address, mask }, qualifiers)
    }

    fn ipv4_host(&mut self, net: Net, qualifiers: Qualifiers) -> Result<CondId> {
        let direction = qualifiers.direction;
        match qualifiers.protocol {
            None => {
                let ip = self.ipv4_addresses(net, direction, ETHERTYPE_IP)?;
                if self.layers.mpls_labels > 0 {
                    return Ok(ip);
                }
                let arp = self.ipv4_addresses(net, direction, ETHERTYPE_ARP)?;
                let joined = self.conditions.or(ip, arp);
                let rarp = self.ipv4_addresses(net, direction, ETHERTYPE_RARP)?;
                Ok(self.conditions.or(joined, rarp))
            }
            Some(Protocol::Ip) => self.ipv4_addresses(net, direction, ETHERTYPE_IP),
            Some(Protocol::Arp) => self.ipv4_addresses(net, direction, ETHERTYPE_ARP),
            Some(Protocol::Rarp) => self.ipv4_addresses(net, direction, ETHERTYPE_RARP),
            Some(Protocol::Decnet) => self.decnet_host(net.address, direction),
            Some(other) => {
                Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "an IPv4 address" })
            }
        }
    }

    /// The addresses in an IPv4, ARP or RARP packet.
    fn ipv4_addresses(&mut self, net: Net, direction: Option<Direction>, kind: u32) -> Result<CondId> {
        let (source, destination) = if kind == ETHERTYPE_IP { (12, 16) } else { (14, 24) };
        self.either_end(direction, |generator, is_source| {
            let offset = if is_source { source } else { destination };
            let carried = generator.linktype(kind)?;
            let address = generator.masked_equal(Origin::Network.word(offset), net.address, net.mask);
            Ok(generator.conditions.and(carried, address))
        })
    }

    fn ipv6_host(&mut self, address: Ipv6Addr, prefix: u32, qualifiers: Qualifiers) -> Result<CondId> {
        let mask = match prefix {
            0 => 0,
            length => u128::MAX << (128 - length.min(128)),
        };
        let bits = u128::from(address);
        if bits & !mask != 0 {
            return Err(FilterErrorKind::HostBitsSet(address.to_string()));
        }
        if let Some(other) = qualifiers.protocol.filter(|protocol| *protocol != Protocol::Ip6) {
            return Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "an IPv6 address" });
        }
        let (bits, mask) = (words(bits), words(mask));
        self.either_end(qualifiers.direction, |generator, source| {
            let mut joined = generator.linktype(ETHERTYPE_IP6)?;
            let mut offset = if source { 8 } else { 24 };
            for (bits, mask) in bits.into_iter().zip(mask) {
                let word = generator.masked_equal(Origin::Network.word(offset), bits, mask);
                joined = generator.conditions.and(joined, word);
                offset += 4;
            }
            Ok(joined)
        })
    }

    /// A `DECnet` address, in the header with short or long addresses, with or without a byte of padding.
    fn decnet_host(&mut self, address: u32, direction: Option<Direction>) -> Result<CondId> {
        // 16 bits, little-endian on the wire.
        let [low, high, _, _] = address.to_le_bytes();
        let on_wire = u32::from(u16::from_be_bytes([low, high]));
        self.either_end(direction, |generator, source| {
            let (short, long) = if source { (3, 15) } else { (1, 7) };
            let carried = generator.linktype(ETHERTYPE_DECNET)?;
            let mut any = None;
            for (flags, at) in [(2, short), (6, long)] {
                for padded in [false, true] {
                    let format = if padded {
                        generator.masked_equal(Origin::Network.half(2), 0x8100 | flags, 0xff07)
                    } else {
                        generator.masked_equal(Origin::Network.byte(2), flags, 0x07)
                    };
                    let at = 2 + at + u32::from(padded);
                    let node = generator.equal(Origin::Network.half(at), on_wire);
                    let form = generator.conditions.and(format, node);
                    any = Some(match any {
                        None => form,
                        Some(any) => generator.conditions.or(any, form),
                    });
                }
            }
            Ok(match any {
                None => carried,
                Some(any) => generator.conditions.and(carried, any),
            })
        })
    }
}

fn exactly(address: u32) -> Net {
    Net { address, mask: u32::MAX }
}

/// A plain number as a network: `10` is 10.0.0.0/8. The mask covers the bytes from the first that is not zero.
fn promoted(mut address: u32) -> Net {
    let mut mask = u32::MAX;
    while address != 0 && address & 0xff00_0000 == 0 {
        address <<= 8;
        mask <<= 8;
    }
    Net { address, mask }
}

/// One to four decimal bytes from the left. The mask covers the bytes that are written.
fn dotted(text: &str) -> Result<Net> {
    let invalid = || FilterErrorKind::InvalidAddress { what: "IPv4 address", text: text.to_owned() };
    let mut net = Net { address: 0, mask: 0 };
    let mut shift = 32;
    for part in text.split('.') {
        let decimal = part.bytes().all(|c| c.is_ascii_digit());
        let byte: Option<u8> = if decimal { part.parse().ok() } else { None };
        let byte = byte.ok_or_else(invalid)?;
        shift -= 8;
        net.address |= u32::from(byte) << shift;
        net.mask |= 0xff << shift;
    }
    Ok(net)
}

/// `area.node`, or the number of both.
fn decnet_address(id: &Id) -> Result<u32> {
    const AREAS: u32 = 0xfc00;
    const NODES: u32 = 0x03ff;
    let text = match id {
        Id::Number(address) => return Ok(*address),
        Id::Dotted(text) => text.as_str(),
        _ => "",
    };
    let invalid = || FilterErrorKind::InvalidAddress { what: "DECnet address", text: text.to_owned() };
    let mut parts = text.split('.').map(str::parse::<u32>);
    match (parts.next(), parts.next()) {
        (Some(Ok(area)), Some(Ok(node))) => Ok(area.wrapping_shl(10) & AREAS | node & NODES),
        _ => Err(invalid()),
    }
}

fn words(bits: u128) -> [u32; 4] {
    let bytes = bits.to_be_bytes();
    [0, 4, 8, 12].map(|at| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]))
}
