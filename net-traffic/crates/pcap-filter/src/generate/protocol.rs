//! Protocols by number and by name.

use super::super::error::FilterErrorKind;
use super::super::syntax::{Id, Kind, Protocol, Qualifiers};
use super::condition::CondId;
use super::link::{
    ETHERTYPE_AARP, ETHERTYPE_ARP, ETHERTYPE_ATALK, ETHERTYPE_DECNET, ETHERTYPE_IP, ETHERTYPE_IP6,
    ETHERTYPE_LAT, ETHERTYPE_LOOPBACK, ETHERTYPE_MOPDL, ETHERTYPE_MOPRC, ETHERTYPE_RARP, ETHERTYPE_SCA,
    SAP_IPX, SAP_ISO, SAP_NETBEUI, SAP_STP,
};
use super::offset::Origin;
use super::{Generator, Result};

pub(super) const TCP: u32 = 6;
pub(super) const UDP: u32 = 17;
pub(super) const SCTP: u32 = 132;
pub(super) const ICMP6: u32 = 58;
pub(super) const AH: u32 = 51;
const ICMP: u32 = 1;
const IGMP: u32 = 2;
const IGRP: u32 = 9;
const IPV6_FRAGMENT: u32 = 44;
const ESP: u32 = 50;
const PIM: u32 = 103;
const VRRP_AND_CARP: u32 = 112;

/// Network layer protocol identifiers of ISO.
const CLNP: u32 = 0x81;
const ESIS: u32 = 0x82;
const ISIS: u32 = 0x83;

impl Generator<'_> {
    pub(super) fn proto_id(&mut self, qualifiers: Qualifiers, id: &Id) -> Result<CondId> {
        let Qualifiers { protocol, kind, .. } = qualifiers;
        let number = match id {
            Id::Number(number) => *number,
            Id::Word(name) => self
                .protocol_number(name, protocol)
                .ok_or_else(|| FilterErrorKind::UnknownName { what: "protocol", name: name.clone() })?,
            _ => return Err(FilterErrorKind::Qualifier { qualifier: "proto", what: "an address" }),
        };
        match kind {
            Kind::ProtoChain => self.protochain(number, protocol),
            _ => self.encapsulated(number, protocol),
        }
    }

    /// The number of a name, in the number space of the carrying protocol.
    fn protocol_number(&self, name: &str, carrier: Option<Protocol>) -> Option<u32> {
        match carrier {
            None | Some(Protocol::Ip | Protocol::Ip6) => self.options.names.protocol(name),
            Some(Protocol::Link) => Some(match name {
                "ip" => ETHERTYPE_IP,
                "ip6" => ETHERTYPE_IP6,
                "arp" => ETHERTYPE_ARP,
                "rarp" => ETHERTYPE_RARP,
                "aarp" => ETHERTYPE_AARP,
                "atalk" => ETHERTYPE_ATALK,
                "decnet" => ETHERTYPE_DECNET,
                "lat" => ETHERTYPE_LAT,
                "loopback" => ETHERTYPE_LOOPBACK,
                "mopdl" => ETHERTYPE_MOPDL,
                "moprc" => ETHERTYPE_MOPRC,
                "sca" => ETHERTYPE_SCA,
                "iso" => SAP_ISO,
                "stp" => SAP_STP,
                "ipx" => SAP_IPX,
                "netbeui" => SAP_NETBEUI,
                _ => return None,
            }),
            Some(Protocol::Iso) => Some(match name {
                "clnp" => CLNP,
                "esis" => ESIS,
                "isis" => ISIS,
                _ => return None,
            }),
            Some(_) => None,
        }
    }

    /// A test for a protocol number in the header of the carrying protocol. `None`: IPv4 or IPv6.
    fn encapsulated(&mut self, number: u32, carrier: Option<Protocol>) -> Result<CondId> {
        match carrier {
            None => {
                let ip = self.encapsulated(number, Some(Protocol::Ip))?;
                let ip6 = self.encapsulated(number, Some(Protocol::Ip6))?;
                Ok(self.conditions.or(ip, ip6))
            }
            Some(Protocol::Link) => self.linktype(number),
            Some(Protocol::Ip) => {
                let ip = self.linktype(ETHERTYPE_IP)?;
                let protocol = self.equal(Origin::Network.byte(9), number);
                Ok(self.conditions.and(ip, protocol))
            }
            Some(Protocol::Ip6) => {
                // Either the first header, or the one after a fragment header.
                let ip6 = self.linktype(ETHERTYPE_IP6)?;
                let direct = self.equal(Origin::Network.byte(6), number);
                let fragment = self.equal(Origin::Network.byte(6), IPV6_FRAGMENT);
                let behind = self.equal(Origin::Network.byte(40), number);
                let fragmented = self.conditions.and(fragment, behind);
                let either = self.conditions.or(direct, fragmented);
                Ok(self.conditions.and(ip6, either))
            }
            Some(Protocol::Iso) => {
                let iso = self.linktype(SAP_ISO)?;
                let protocol = self.equal(Origin::NetworkOverLlc.byte(0), number);
                Ok(self.conditions.and(iso, protocol))
            }
            Some(Protocol::Isis) => {
                let isis = self.encapsulated(ISIS, Some(Protocol::Iso))?;
                let packet_type = self.equal(Origin::NetworkOverLlc.byte(4), number);
                Ok(self.conditions.and(isis, packet_type))
            }
            Some(other) => Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "`proto`" }),
        }
    }

    /// A test for a protocol that is written alone.
    pub(super) fn protocol_alone(&mut self, protocol: Protocol) -> Result<CondId> {
        let (number, carrier) = match protocol {
            Protocol::Ip => return self.linktype(ETHERTYPE_IP),
            Protocol::Ip6 => return self.linktype(ETHERTYPE_IP6),
            Protocol::Arp => return self.linktype(ETHERTYPE_ARP),
            Protocol::Rarp => return self.linktype(ETHERTYPE_RARP),
            Protocol::Atalk => return self.linktype(ETHERTYPE_ATALK),
            Protocol::Aarp => return self.linktype(ETHERTYPE_AARP),
            Protocol::Decnet => return self.linktype(ETHERTYPE_DECNET),
            Protocol::Lat => return self.linktype(ETHERTYPE_LAT),
            Protocol::Sca => return self.linktype(ETHERTYPE_SCA),
            Protocol::Moprc => return self.linktype(ETHERTYPE_MOPRC),
            Protocol::Mopdl => return self.linktype(ETHERTYPE_MOPDL),
            Protocol::Iso => return self.linktype(SAP_ISO),
            Protocol::Stp => return self.linktype(SAP_STP),
            Protocol::Ipx => return self.linktype(SAP_IPX),
            Protocol::Netbeui => return self.linktype(SAP_NETBEUI),
            Protocol::Link | Protocol::Radio => {
                return Err(FilterErrorKind::Qualifier { qualifier: protocol.name(), what: "nothing" });
            }
            Protocol::Sctp => (SCTP, None),
            Protocol::Tcp => (TCP, None),
            Protocol::Udp => (UDP, None),
            Protocol::Pim => (PIM, None),
            Protocol::Ah => (AH, None),
            Protocol::Esp => (ESP, None),
            Protocol::Icmp => (ICMP, Some(Protocol::Ip)),
            Protocol::Igmp => (IGMP, Some(Protocol::Ip)),
            Protocol::Igrp => (IGRP, Some(Protocol::Ip)),
            Protocol::Vrrp | Protocol::Carp => (VRRP_AND_CARP, Some(Protocol::Ip)),
            Protocol::Icmp6 => (ICMP6, Some(Protocol::Ip6)),
            Protocol::Esis => (ESIS, Some(Protocol::Iso)),
            Protocol::Isis => (ISIS, Some(Protocol::Iso)),
            Protocol::Clnp => (CLNP, Some(Protocol::Iso)),
            Protocol::IsisLevel1 => return self.isis(&[26, 24, 18, 15, 17]),
            Protocol::IsisLevel2 => return self.isis(&[27, 25, 20, 16, 17]),
            Protocol::IsisHello => return self.isis(&[17, 15, 16]),
            Protocol::IsisLinkState => return self.isis(&[18, 20]),
            Protocol::IsisSequence => return self.isis(&[27, 26, 24, 25]),
            Protocol::IsisComplete => return self.isis(&[24, 25]),
            Protocol::IsisPartial => return self.isis(&[26, 27]),
        };
        self.encapsulated(number, carrier)
    }

    /// A test for any of these IS-IS packet types.
    fn isis(&mut self, packet_types: &[u32]) -> Result<CondId> {
        let mut joined = None;
        for packet_type in packet_types {
            let test = self.encapsulated(*packet_type, Some(Protocol::Isis))?;
            joined = Some(match joined {
                None => test,
                Some(joined) => self.conditions.or(joined, test),
            });
        }
        Ok(joined.unwrap_or_else(|| self.conditions.never()))
    }
}
