//! Where the headers are: the state that moves as encapsulations are named.

use super::super::LinkType;

/// A place in the packet: octets from its beginning, and perhaps a scratch word that is added at run time.
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

    pub(super) fn plus(self, octets: u32) -> Self {
        Self { constant: self.constant.wrapping_add(octets), ..self }
    }
}

/// How a link header says what it carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Link {
    Ethernet,
    Raw,
    LinuxSll,
    LinuxSll2,
    /// Behind `pppoes`.
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
    /// The field with the type of the payload. Raw IP has none, and asks the IP version.
    pub(super) kind: Base,
    pub(super) payload: Base,
    /// From the payload to the network header.
    pub(super) network: u32,
    /// The same for protocols over 802.2 without SNAP.
    pub(super) network_over_llc: u32,
    pub(super) labels: u32,
    /// Whether a VLAN tag was named already.
    pub(super) tagged: bool,
    pub(super) in_geneve: bool,
}

impl Layers {
    pub(super) fn new(linktype: LinkType) -> Self {
        let (link, kind, payload, network_over_llc) = match linktype {
            LinkType::Ethernet => (Link::Ethernet, 12, 14, 3),
            LinkType::Raw => (Link::Raw, 0, 0, 0),
            LinkType::LinuxSll => (Link::LinuxSll, 14, 16, 0),
            LinkType::LinuxSll2 => (Link::LinuxSll2, 0, 20, 0),
        };
        Self {
            link,
            header: Base::fixed(0),
            kind: Base::fixed(kind),
            payload: Base::fixed(payload),
            network: 0,
            network_over_llc,
            labels: 0,
            tagged: false,
            in_geneve: false,
        }
    }
}
