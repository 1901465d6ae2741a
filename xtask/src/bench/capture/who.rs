//! Who has a turn, and how it is called.

use super::contender::Contender;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Who {
    Nobody,
    NobodyAgain,
    Tcpdump,
    TcpdumpAgain,
    TcpdumpShort,
    TcpdumpShortAgain,
    Dumpcap,
    Own,
    OwnPcap,
    OwnShort,
    OwnShortPcap,
    OwnRejecting,
    OwnRejectingBare,
}

/// Keeps so many octets.
const SHORT: [&str; 2] = ["-s", "96"];
/// None of the packets that are sent here.
const REJECTING: [&str; 1] = ["tcp port 9"];

impl Who {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nobody | Self::NobodyAgain => "nobody",
            Self::Tcpdump | Self::TcpdumpAgain => "tcpdump",
            Self::TcpdumpShort | Self::TcpdumpShortAgain => "tcpdump -s 96",
            Self::Dumpcap => "dumpcap",
            Self::Own => "net-traffic",
            Self::OwnPcap => "  as .pcap",
            Self::OwnShort => "net-traffic -s 96",
            Self::OwnShortPcap => "  -s 96 as .pcap",
            Self::OwnRejecting => "with processes",
            Self::OwnRejectingBare => "--no-process",
        }
    }

    pub(super) fn contender(self) -> Option<Contender> {
        match self {
            Self::Nobody | Self::NobodyAgain => None,
            Self::Tcpdump | Self::TcpdumpAgain => Some(Contender::tcpdump(&[])),
            Self::TcpdumpShort | Self::TcpdumpShortAgain => Some(Contender::tcpdump(&SHORT)),
            Self::Dumpcap => Some(Contender::dumpcap()),
            Self::Own => Some(Contender::own("pcapng", &[], &[])),
            Self::OwnPcap => Some(Contender::own("pcap", &[], &[])),
            Self::OwnShort => Some(Contender::own("pcapng", &SHORT, &[])),
            Self::OwnShortPcap => Some(Contender::own("pcap", &SHORT, &[])),
            Self::OwnRejecting => Some(Contender::own("pcapng", &[], &REJECTING)),
            Self::OwnRejectingBare => Some(Contender::own("pcapng", &["--no-process"], &REJECTING)),
        }
    }
}
