//! The syntax tree. Independent of the link type.

use std::net::Ipv6Addr;

use super::error::Span;

/// An expression that is true or false of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expr {
    /// Terms joined by `and` and `or`, which have equal precedence and associate to the left.
    Chain {
        first: Box<Self>,
        rest: Vec<(Connective, Self)>,
    },
    Not(Box<Self>),
    Primitive(Primitive, Span),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Connective {
    And,
    Or,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Primitive {
    /// `src host 10.0.0.1`, or only `10.0.0.1` with the qualifiers of the identifier before it.
    Id(Qualifiers, Id),
    /// A protocol by itself.
    Protocol(Protocol),
    Relation {
        left: Arithmetic,
        relation: Relation,
        right: Arithmetic,
    },
    Broadcast(Option<Protocol>),
    Multicast(Option<Protocol>),
    Less(u32),
    Greater(u32),
    Byte {
        offset: u32,
        test: ByteTest,
        value: u32,
    },
    Inbound,
    Outbound,
    IfIndex(u32),
    Vlan(Option<u32>),
    Mpls(Option<u32>),
    Pppoed,
    Pppoes(Option<u32>),
    Geneve(Option<u32>),
    Llc(Option<String>),
}

/// The qualifiers of an identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Qualifiers {
    pub(super) protocol: Option<Protocol>,
    pub(super) direction: Option<Direction>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Src,
    Dst,
    SrcOrDst,
    SrcAndDst,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only a protocol or a direction is written. Means a host.
    Default,
    Host,
    Net,
    Port,
    PortRange,
    Gateway,
    Proto,
    ProtoChain,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Id {
    Number(u32),
    /// `10.0.0.1`, `192.168`
    Dotted(String),
    /// `10.0.0.0/8`: the text before the slash, and the number after it
    DottedPrefix(String, u32),
    /// `10.0.0.0 mask 255.0.0.0`
    DottedMask(String, String),
    /// The prefix length is 128 if none is written.
    Ipv6(Ipv6Addr, u32),
    Ether([u8; 6]),
    Word(String),
}

/// Arithmetic in postfix order, each step with its place in the expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Arithmetic {
    pub(super) steps: Vec<(Step, Span)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Number(u32),
    Len,
    /// Replaces an offset by the bytes of the packet there.
    Load {
        protocol: Protocol,
        size: u32,
    },
    Negate,
    Binary(Operator),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Add,
    Sub,
    Mul,
    Div,
    Mod,
    And,
    Or,
    Xor,
    Lsh,
    Rsh,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Relation {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    GreaterEqual,
    Greater,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ByteTest {
    Equal,
    Less,
    Greater,
    And,
    Or,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// `ether`, `link`, and the names of other link layers
    Link,
    Ip,
    Ip6,
    Arp,
    Rarp,
    Sctp,
    Tcp,
    Udp,
    Icmp,
    Icmp6,
    Igmp,
    Igrp,
    Pim,
    Vrrp,
    Carp,
    Ah,
    Esp,
    Atalk,
    Aarp,
    Decnet,
    Lat,
    Sca,
    Moprc,
    Mopdl,
    Iso,
    Esis,
    Isis,
    Clnp,
    IsisLevel1,
    IsisLevel2,
    IsisHello,
    IsisLinkState,
    IsisSequence,
    IsisComplete,
    IsisPartial,
    Stp,
    Ipx,
    Netbeui,
    Radio,
}

impl Protocol {
    /// The keyword.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Link => "ether",
            Self::Ip => "ip",
            Self::Ip6 => "ip6",
            Self::Arp => "arp",
            Self::Rarp => "rarp",
            Self::Sctp => "sctp",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Icmp => "icmp",
            Self::Icmp6 => "icmp6",
            Self::Igmp => "igmp",
            Self::Igrp => "igrp",
            Self::Pim => "pim",
            Self::Vrrp => "vrrp",
            Self::Carp => "carp",
            Self::Ah => "ah",
            Self::Esp => "esp",
            Self::Atalk => "atalk",
            Self::Aarp => "aarp",
            Self::Decnet => "decnet",
            Self::Lat => "lat",
            Self::Sca => "sca",
            Self::Moprc => "moprc",
            Self::Mopdl => "mopdl",
            Self::Iso => "iso",
            Self::Esis => "esis",
            Self::Isis => "isis",
            Self::Clnp => "clnp",
            Self::IsisLevel1 => "l1",
            Self::IsisLevel2 => "l2",
            Self::IsisHello => "iih",
            Self::IsisLinkState => "lsp",
            Self::IsisSequence => "snp",
            Self::IsisComplete => "csnp",
            Self::IsisPartial => "psnp",
            Self::Stp => "stp",
            Self::Ipx => "ipx",
            Self::Netbeui => "netbeui",
            Self::Radio => "radio",
        }
    }
}
