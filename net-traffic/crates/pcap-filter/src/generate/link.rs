//! Tests of the link header: the type of the payload, link addresses, direction.

use super::super::bpf::{self, Insn, METADATA_IFINDEX, METADATA_PACKET_TYPE};
use super::super::error::FilterErrorKind;
use super::super::syntax::{Direction, Protocol};
use super::condition::{CondId, Test};
use super::layers::Link;
use super::offset::{Origin, load_a, load_x};
use super::{Generator, Result};

pub(super) const ETHERTYPE_IP: u32 = 0x0800;
pub(super) const ETHERTYPE_ARP: u32 = 0x0806;
pub(super) const ETHERTYPE_RARP: u32 = 0x8035;
pub(super) const ETHERTYPE_IP6: u32 = 0x86dd;
pub(super) const ETHERTYPE_MOPDL: u32 = 0x6001;
pub(super) const ETHERTYPE_MOPRC: u32 = 0x6002;
pub(super) const ETHERTYPE_DECNET: u32 = 0x6003;
pub(super) const ETHERTYPE_LAT: u32 = 0x6004;
pub(super) const ETHERTYPE_SCA: u32 = 0x6007;
pub(super) const ETHERTYPE_ATALK: u32 = 0x809b;
pub(super) const ETHERTYPE_AARP: u32 = 0x80f3;
pub(super) const ETHERTYPE_LOOPBACK: u32 = 0x9000;
pub(super) const ETHERTYPE_PPPOED: u32 = 0x8863;
pub(super) const ETHERTYPE_PPPOES: u32 = 0x8864;
pub(super) const ETHERTYPE_MPLS: u32 = 0x8847;
const ETHERTYPE_IPX: u32 = 0x8137;
const ETHERTYPE_XNS: u32 = 0x0600;

/// SAPs of 802.2. All are below every `EtherType`, so that one number space holds both.
pub(super) const SAP_ISO: u32 = 0xfe;
pub(super) const SAP_STP: u32 = 0x42;
pub(super) const SAP_IPX: u32 = 0xe0;
pub(super) const SAP_NETBEUI: u32 = 0xf0;
const SAP_IP: u32 = 0x06;

/// A type field up to this value is a length.
pub(super) const LARGEST_LENGTH: u32 = 1500;

impl Generator<'_> {
    /// A test for the type of the payload: an `EtherType` or a SAP.
    pub(super) fn linktype(&mut self, kind: u32) -> Result<CondId> {
        if self.layers.mpls_labels > 0 {
            return self.linktype_behind_mpls(kind);
        }
        Ok(match self.layers.link {
            Link::Ethernet => self.ethernet_linktype(kind),
            Link::Raw => match kind {
                ETHERTYPE_IP => self.ip_version(4),
                ETHERTYPE_IP6 => self.ip_version(6),
                _ => self.conditions.never(),
            },
            Link::LinuxSll => self.cooked_linktype(kind),
            Link::LinuxSll2 => self.equal(Origin::TypeField.half(0), kind),
            Link::Ppp => self.equal(Origin::TypeField.half(0), ppp_protocol(kind)),
        })
    }

    fn ip_version(&mut self, version: u32) -> CondId {
        self.masked_equal(Origin::Network.byte(0), version << 4, 0xf0)
    }

    /// An MPLS label does not name its payload. The test is for the bottom of the stack and the IP version.
    fn linktype_behind_mpls(&mut self, kind: u32) -> Result<CondId> {
        let version = match kind {
            ETHERTYPE_IP => 4,
            ETHERTYPE_IP6 => 6,
            _ => return Err(FilterErrorKind::NotBehindMpls),
        };
        let bottom = self.masked_equal(Origin::PreviousLabel.byte(2), 1, 1);
        let version = self.ip_version(version);
        Ok(self.conditions.and(bottom, version))
    }

    fn ethernet_linktype(&mut self, kind: u32) -> CondId {
        match kind {
            SAP_ISO | SAP_IP | SAP_NETBEUI => {
                let length = self.has_length();
                let saps = self.equal(Origin::Llc.half(0), kind << 8 | kind);
                self.conditions.and(length, saps)
            }
            SAP_IPX => {
                let kind = self.equal(Origin::TypeField.half(0), ETHERTYPE_IPX);
                let length = self.has_length();
                let snap = self.snap(0, ETHERTYPE_IPX);
                let with_sap = self.equal(Origin::Llc.byte(0), SAP_IPX);
                let novell = self.equal(Origin::Llc.half(0), 0xffff);
                let without_snap = self.conditions.or(with_sap, novell);
                let payload = self.conditions.or(snap, without_snap);
                let framed = self.conditions.and(length, payload);
                self.conditions.or(kind, framed)
            }
            ETHERTYPE_ATALK | ETHERTYPE_AARP => {
                let organization = if kind == ETHERTYPE_ATALK { 0x08_0007 } else { 0 };
                let plain = self.equal(Origin::TypeField.half(0), kind);
                let length = self.has_length();
                let snap = self.snap(organization, kind);
                let framed = self.conditions.and(length, snap);
                self.conditions.or(plain, framed)
            }
            0..=LARGEST_LENGTH => {
                let length = self.has_length();
                let sap = self.equal(Origin::Llc.byte(0), kind);
                self.conditions.and(length, sap)
            }
            _ => self.equal(Origin::TypeField.half(0), kind),
        }
    }

    /// The version 1 cooked header marks frames with a length by numbers of its own.
    fn cooked_linktype(&mut self, kind: u32) -> CondId {
        const NOVELL: u32 = 1;
        const WITH_LLC: u32 = 4;
        match kind {
            SAP_ISO | SAP_IP | SAP_NETBEUI => {
                let framed = self.equal(Origin::TypeField.half(0), WITH_LLC);
                let saps = self.equal(Origin::Llc.half(0), kind << 8 | kind);
                self.conditions.and(framed, saps)
            }
            SAP_IPX => {
                let plain = self.equal(Origin::TypeField.half(0), ETHERTYPE_IPX);
                let novell = self.equal(Origin::TypeField.half(0), NOVELL);
                let framed = self.equal(Origin::TypeField.half(0), WITH_LLC);
                let with_sap = self.equal(Origin::Llc.byte(0), SAP_IPX);
                let snap = self.snap(0, ETHERTYPE_IPX);
                let inside = self.conditions.or(with_sap, snap);
                let framed = self.conditions.and(framed, inside);
                let framed = self.conditions.or(novell, framed);
                self.conditions.or(plain, framed)
            }
            ETHERTYPE_ATALK | ETHERTYPE_AARP => {
                let organization = if kind == ETHERTYPE_ATALK { 0x08_0007 } else { 0 };
                let plain = self.equal(Origin::TypeField.half(0), kind);
                let framed = self.equal(Origin::TypeField.half(0), WITH_LLC);
                let snap = self.snap(organization, kind);
                let framed = self.conditions.and(framed, snap);
                self.conditions.or(plain, framed)
            }
            0..=LARGEST_LENGTH => {
                let framed = self.equal(Origin::TypeField.half(0), WITH_LLC);
                let sap = self.equal(Origin::Llc.byte(0), kind);
                self.conditions.and(framed, sap)
            }
            _ => self.equal(Origin::TypeField.half(0), kind),
        }
    }

    /// A test whether the type field is a length, which means that an 802.2 header follows.
    pub(super) fn has_length(&mut self) -> CondId {
        let kind = self.compare(Origin::TypeField.half(0), bpf::JGT, LARGEST_LENGTH);
        self.conditions.not(kind)
    }

    fn snap(&mut self, organization: u32, kind: u32) -> CondId {
        let [_, o1, o2, o3] = organization.to_be_bytes();
        let [_, _, k1, k2] = kind.to_be_bytes();
        self.bytes_equal(Origin::Llc, 0, &[0xaa, 0xaa, 0x03, o1, o2, o3, k1, k2])
    }

    /// `ether host`, `ether src`, `ether dst`.
    pub(super) fn ether_host(&mut self, address: [u8; 6], direction: Option<Direction>) -> Result<CondId> {
        self.ethernet_only("ether host")?;
        let guard = self.geneve_link_guard();
        let addresses = self.either_end(direction, |generator, source| {
            Ok(generator.bytes_equal(Origin::LinkHeader, if source { 6 } else { 0 }, &address))
        })?;
        Ok(self.guarded(guard, addresses))
    }

    pub(super) fn broadcast(&mut self, protocol: Option<Protocol>) -> Result<CondId> {
        match protocol {
            None | Some(Protocol::Link) => {
                self.ethernet_only("broadcast")?;
                let guard = self.geneve_link_guard();
                let all = self.bytes_equal(Origin::LinkHeader, 0, &[0xff; 6]);
                Ok(self.guarded(guard, all))
            }
            Some(Protocol::Ip) => {
                let mask = self.options.netmask.ok_or(FilterErrorKind::NetmaskUnknown)?;
                let ip = self.linktype(ETHERTYPE_IP)?;
                let zeros = self.masked_equal(Origin::Network.word(16), 0, !mask);
                let ones = self.masked_equal(Origin::Network.word(16), !mask, !mask);
                let host_part = self.conditions.or(zeros, ones);
                Ok(self.conditions.and(ip, host_part))
            }
            Some(other) => Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "broadcast" }),
        }
    }

    pub(super) fn multicast(&mut self, protocol: Option<Protocol>) -> Result<CondId> {
        match protocol {
            None | Some(Protocol::Link) => {
                self.ethernet_only("multicast")?;
                let guard = self.geneve_link_guard();
                let group = self.compare(Origin::LinkHeader.byte(0), bpf::JSET, 1);
                Ok(self.guarded(guard, group))
            }
            Some(Protocol::Ip) => {
                let ip = self.linktype(ETHERTYPE_IP)?;
                let group = self.compare(Origin::Network.byte(16), bpf::JGE, 224);
                Ok(self.conditions.and(ip, group))
            }
            Some(Protocol::Ip6) => {
                let ip6 = self.linktype(ETHERTYPE_IP6)?;
                let group = self.equal(Origin::Network.byte(24), 0xff);
                Ok(self.conditions.and(ip6, group))
            }
            Some(other) => Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "multicast" }),
        }
    }

    /// A test whether the packet is outgoing, by the cooked header or by metadata.
    pub(super) fn outbound(&mut self, word: &'static str) -> Result<CondId> {
        const OUTGOING: u32 = 4;
        match self.layers.link {
            Link::LinuxSll => Ok(self.equal(Origin::LinkHeader.half(0), OUTGOING)),
            Link::LinuxSll2 => Ok(self.equal(Origin::LinkHeader.byte(10), OUTGOING)),
            _ => self.metadata(word, bpf::H, METADATA_PACKET_TYPE, OUTGOING),
        }
    }

    pub(super) fn ifindex(&mut self, index: u32) -> Result<CondId> {
        if self.layers.link == Link::LinuxSll2 {
            return Ok(self.equal(Origin::LinkHeader.word(4), index));
        }
        self.metadata("ifindex", bpf::W, METADATA_IFINDEX, index)
    }

    fn metadata(&mut self, word: &'static str, size: u16, k: u32, value: u32) -> Result<CondId> {
        if !self.options.metadata {
            return Err(FilterErrorKind::NeedsMetadata(word));
        }
        let load = Insn::stmt(bpf::LD | bpf::ABS | size, k);
        Ok(self.conditions.test(Test::new(vec![load], bpf::JEQ, value)))
    }

    fn ethernet_only(&self, what: &'static str) -> Result<()> {
        match self.layers.link {
            Link::Ethernet => Ok(()),
            other => Err(FilterErrorKind::NotOnThisLink { what, linktype: other.name() }),
        }
    }

    /// Inside Geneve a test that there is an Ethernet header. Without one, header and payload have the same offset.
    fn geneve_link_guard(&mut self) -> Option<CondId> {
        let (header, payload) = (self.layers.header.register?, self.layers.payload.register?);
        if !self.layers.in_geneve {
            return None;
        }
        let same = self.conditions.test(Test::with_x(vec![load_a(header), load_x(payload)], bpf::JEQ));
        Some(self.conditions.not(same))
    }

    pub(super) fn guarded(&mut self, guard: Option<CondId>, cond: CondId) -> CondId {
        match guard {
            None => cond,
            Some(guard) => self.conditions.and(guard, cond),
        }
    }

    /// A test of the source, the destination, or both. `one` generates the test of one; `true` stands for the source.
    pub(super) fn either_end(
        &mut self,
        direction: Option<Direction>,
        mut one: impl FnMut(&mut Self, bool) -> Result<CondId>,
    ) -> Result<CondId> {
        match direction {
            Some(Direction::Src) => one(self, true),
            Some(Direction::Dst) => one(self, false),
            Some(Direction::SrcAndDst) => {
                let (source, destination) = (one(self, true)?, one(self, false)?);
                Ok(self.conditions.and(source, destination))
            }
            None | Some(Direction::SrcOrDst) => {
                let (source, destination) = (one(self, true)?, one(self, false)?);
                Ok(self.conditions.or(source, destination))
            }
        }
    }
}

/// The PPP protocol number of an `EtherType` or a SAP.
fn ppp_protocol(kind: u32) -> u32 {
    match kind {
        ETHERTYPE_IP => 0x21,
        SAP_ISO => 0x23,
        ETHERTYPE_XNS => 0x25,
        ETHERTYPE_DECNET => 0x27,
        ETHERTYPE_ATALK => 0x29,
        SAP_IPX => 0x2b,
        SAP_STP => 0x31,
        ETHERTYPE_IP6 => 0x57,
        other => other,
    }
}
