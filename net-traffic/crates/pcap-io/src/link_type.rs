//! Link types of capture files, by the numbers of <https://www.tcpdump.org/linktypes.html>.

/// The header that packets begin with: a `LINKTYPE_` number. Any number is valid; the constants are those with a name
/// here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: the address family in the byte order of the capturing machine.
    pub const NULL: Self = Self(0);
    /// Ethernet.
    pub const ETHERNET: Self = Self(1);
    /// An IPv4 or IPv6 header.
    pub const RAW: Self = Self(101);
    /// `OpenBSD` loopback: the address family in network byte order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked" header, version 1.
    pub const LINUX_SLL: Self = Self(113);
    /// An IPv4 header.
    pub const IPV4: Self = Self(228);
    /// An IPv6 header.
    pub const IPV6: Self = Self(229);
    /// Linux "cooked" header, version 2, which holds the interface index.
    pub const LINUX_SLL2: Self = Self(276);

    /// The name and the description that tcpdump prints. `None` for numbers without a constant.
    #[must_use]
    pub fn names(self) -> Option<(&'static str, &'static str)> {
        Some(match self {
            Self::NULL => ("NULL", "BSD loopback"),
            Self::ETHERNET => ("EN10MB", "Ethernet"),
            Self::RAW => ("RAW", "Raw IP"),
            Self::LOOP => ("LOOP", "OpenBSD loopback"),
            Self::LINUX_SLL => ("LINUX_SLL", "Linux cooked v1"),
            Self::IPV4 => ("IPV4", "Raw IPv4"),
            Self::IPV6 => ("IPV6", "Raw IPv6"),
            Self::LINUX_SLL2 => ("LINUX_SLL2", "Linux cooked v2"),
            _ => return None,
        })
    }
}

/// libpcap's largest snapshot length for the link types above
/// (<https://github.com/the-tcpdump-group/libpcap/blob/libpcap-1.10.3/pcap-int.h>, `MAXIMUM_SNAPLEN`).
pub const MAX_SNAPLEN: u32 = 262_144;
