//! The sides of the capture benchmarks, and the program that each side runs.
//!
//! A side with `Again` in its name is a null control: the same command a second time in the round.

use super::program::CaptureProgram;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Side {
    NoCapture,
    NoCaptureAgain,
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

/// Keeps the first 96 bytes of a packet.
const SHORT: [&str; 2] = ["-s", "96"];
/// Rejects every packet: the sender sends UDP only.
const REJECTING: [&str; 1] = ["tcp port 9"];

impl Side {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoCapture | Self::NoCaptureAgain => "no capture",
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

    pub(super) fn program(self) -> Option<CaptureProgram> {
        match self {
            Self::NoCapture | Self::NoCaptureAgain => None,
            Self::Tcpdump | Self::TcpdumpAgain => Some(CaptureProgram::tcpdump(&[])),
            Self::TcpdumpShort | Self::TcpdumpShortAgain => Some(CaptureProgram::tcpdump(&SHORT)),
            Self::Dumpcap => Some(CaptureProgram::dumpcap()),
            Self::Own => Some(CaptureProgram::own("pcapng", &[], &[])),
            Self::OwnPcap => Some(CaptureProgram::own("pcap", &[], &[])),
            Self::OwnShort => Some(CaptureProgram::own("pcapng", &SHORT, &[])),
            Self::OwnShortPcap => Some(CaptureProgram::own("pcap", &SHORT, &[])),
            Self::OwnRejecting => Some(CaptureProgram::own("pcapng", &[], &REJECTING)),
            Self::OwnRejectingBare => Some(CaptureProgram::own("pcapng", &["--no-process"], &REJECTING)),
        }
    }
}
