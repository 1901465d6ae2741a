//! The numbers of the file formats pcap and pcapng, which reader and writer share. The link types are those of
//! <https://www.tcpdump.org/linktypes.html>, the rest is from the IETF's drafts "pcap" and "pcapng".

/// What packets begin with, by its number in files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// The family as a word of the machine that captured.
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    /// The IP header.
    pub const RAW: Self = Self(101);
    /// As `NULL`, in network order.
    pub const LOOP: Self = Self(108);
    /// Linux "cooked", from all interfaces at once.
    pub const LINUX_SLL: Self = Self(113);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    /// The same with the interface.
    pub const LINUX_SLL2: Self = Self(276);

    /// As tcpdump writes it: a name and a description.
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

/// The most octets of a packet that files of these link types keep.
pub const MAX_SNAPLEN: u32 = 262_144;

pub const PCAP_MICROSECONDS: u32 = 0xa1b2_c3d4;
pub const PCAP_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// A dialect with eight more octets in each packet's header.
pub const PCAP_MODIFIED: u32 = 0xa1b2_cd34;

pub const SECTION_HEADER: u32 = 0x0a0d_0d0a;
pub const BYTE_ORDER: u32 = 0x1a2b_3c4d;
pub const INTERFACE_DESCRIPTION: u32 = 1;
/// Obsolete, but still found.
pub const OLD_PACKET: u32 = 2;
pub const SIMPLE_PACKET: u32 = 3;
pub const INTERFACE_STATISTICS: u32 = 5;
pub const ENHANCED_PACKET: u32 = 6;

/// Options of every block.
pub const OPT_END: u16 = 0;
pub const OPT_COMMENT: u16 = 1;
/// Options of the section header.
pub const SHB_HARDWARE: u16 = 2;
pub const SHB_OS: u16 = 3;
pub const SHB_APPLICATION: u16 = 4;
/// Options of the interface description.
pub const IF_NAME: u16 = 2;
pub const IF_DESCRIPTION: u16 = 3;
pub const IF_TSRESOL: u16 = 9;
pub const IF_FILTER: u16 = 11;
pub const IF_TSOFFSET: u16 = 14;
/// Options of the enhanced packet.
pub const EPB_FLAGS: u16 = 2;
pub const EPB_DROPCOUNT: u16 = 4;
/// Two words: the process and the thread, 0 for an unknown one.
pub const EPB_PROCESS: u16 = 8;
/// Options of the interface statistics.
pub const ISB_STARTTIME: u16 = 2;
pub const ISB_ENDTIME: u16 = 3;
pub const ISB_IFRECV: u16 = 4;
pub const ISB_IFDROP: u16 = 5;
pub const ISB_FILTERACCEPT: u16 = 6;
pub const ISB_OSDROP: u16 = 7;
pub const ISB_USRDELIV: u16 = 8;

/// The lowest bits of [`EPB_FLAGS`]: the direction.
pub const FLAG_IN: u32 = 1;
pub const FLAG_OUT: u32 = 2;
/// Higher bits of it: the checksum is not computed yet, or was found to be right.
pub const FLAG_CHECKSUM_NOT_READY: u32 = 1 << 9;
pub const FLAG_CHECKSUM_VALID: u32 = 1 << 10;
