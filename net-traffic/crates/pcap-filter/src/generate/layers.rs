//! The offsets of the headers. Each encapsulation in an expression moves them.

use super::super::LinkType;

/// An offset into the packet: a constant, and the value of a scratch word that is added at run time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Base {
    /// Modulo 2³².
    pub(super) constant: u32,
    pub(super) register: Option<u32>,
}

impl Base {
    pub(super) const fn fixed(constant: u32) -> Self {
        Self { constant, register: None }
    }

    pub(super) const fn in_register(register: u32) -> Self {
        Self { constant: 0, register: Some(register) }
    }

    pub(super) fn plus(self, bytes: u32) -> Self {
        Self { constant: self.constant.wrapping_add(bytes), ..self }
    }
}

/// The format of the link header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    Raw,
    LinuxSll,
    LinuxSll2,
    /// After `pppoes`.
    Ppp,
}

impl Link {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "Ethernet",
            Self::Raw => "raw IP",
            Self::LinuxSll | Self::LinuxSll2 => "Linux cooked capture",
            Self::Ppp => "PPP",
        }
    }
}

#[derive(Debug, Clone)]
pub(super) struct Layers {
    pub(super) link: Link,
    pub(super) header: Base,
    /// The field with the type of the payload. Raw IP has none; the IP version is tested instead.
    pub(super) type_field: Base,
    pub(super) payload: Base,
    /// The distance from the payload to the network header.
    pub(super) network: u32,
    /// The distance for protocols over 802.2 without SNAP.
    pub(super) network_over_llc: u32,
    /// How many `mpls` precede.
    pub(super) mpls_labels: u32,
    /// Whether `vlan` precedes.
    pub(super) in_vlan: bool,
    /// Whether `geneve` precedes, and no other link header after it.
    pub(super) in_geneve: bool,
}

impl Layers {
    pub(super) fn new(linktype: LinkType) -> Self {
        let (link, type_field, payload, network_over_llc) = match linktype {
            LinkType::Ethernet => (Link::Ethernet, 12, 14, 3),
            LinkType::Raw => (Link::Raw, 0, 0, 0),
            LinkType::LinuxSll => (Link::LinuxSll, 14, 16, 0),
            LinkType::LinuxSll2 => (Link::LinuxSll2, 0, 20, 0),
        };
        Self {
            link,
            header: Base::fixed(0),
            type_field: Base::fixed(type_field),
            payload: Base::fixed(payload),
            network: 0,
            network_over_llc,
            mpls_labels: 0,
            in_vlan: false,
            in_geneve: false,
        }
    }
}
