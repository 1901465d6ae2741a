//! The options and extension headers of IP, and the names of upper-layer protocols.

use super::super::push;
use crate::dissect::{ipv6, u16_at, u32_at};

pub(super) fn protocol_name(protocol: u8) -> &'static str {
    match protocol {
        0 => "Options",
        1 => "ICMP",
        2 => "IGMP",
        4 => "IPIP",
        6 => "TCP",
        17 => "UDP",
        33 => "DCCP",
        41 => "IPv6",
        43 => "Routing",
        44 => "Fragment",
        47 => "GRE",
        50 => "ESP",
        51 => "AH",
        58 => "ICMPv6",
        59 => "None",
        89 => "OSPF",
        112 => "VRRP",
        132 => "SCTP",
        _ => "unknown",
    }
}

/// Appends the names of the IPv4 options.
pub(super) fn options(text: &mut String, mut options: &[u8]) {
    let mut separator = "";
    while let Some(kind) = options.first() {
        let name = match kind {
            0 => "EOL",
            1 => "NOP",
            7 => "RR",
            68 => "timestamp",
            130 => "security",
            131 => "LSRR",
            137 => "SSRR",
            148 => "RA",
            _ => "unknown",
        };
        push(text, format_args!("{separator}{name}"));
        separator = ",";
        let length = match (kind, options.get(1)) {
            (0, _) => return,
            (1, _) => 1,
            (_, Some(length)) if *length >= 2 => usize::from(*length),
            _ => return text.push_str(" [bad length]"),
        };
        options = options.get(length..).unwrap_or(&[]);
    }
}

/// Appends a routing header.
pub(super) fn routing(text: &mut String, header: &[u8], verbose: bool) -> Option<()> {
    let (units, kind, left) = (*header.get(1)?, *header.get(2)?, *header.get(3)?);
    push(text, format_args!("RT6 (len={units}, type={kind}"));
    text.push_str(if kind == 0 { " [Deprecated]" } else { "" });
    push(text, format_args!(", segleft={left}"));
    match kind {
        0 | 2 if verbose => push(text, format_args!(", rsv=0x{:x}", u32_at(header, 4)?)),
        4 => {
            push(text, format_args!(", last-entry={}", header.get(4)?));
            if verbose {
                push(text, format_args!(", flags=0x{:x}", header.get(5)?));
            }
            push(text, format_args!(", tag={:x}", u16_at(header, 6)?));
        }
        _ => {}
    }
    if matches!(kind, 0 | 2 | 4) {
        for place in 0..usize::from(units) / 2 {
            push(text, format_args!(", [{place}]{}", ipv6(header, 8 + place * 16)?));
        }
    }
    text.push_str(") ");
    Some(())
}

pub(super) fn hop_by_hop(text: &mut String, header: &[u8]) -> Option<()> {
    let mut rest = header.get(2..)?;
    while let Some(kind) = rest.first() {
        let length = if *kind == 0 { 1 } else { usize::from(*rest.get(1)?) + 2 };
        match kind {
            0 => text.push_str("(pad1)"),
            1 => text.push_str("(padn)"),
            5 => push(text, format_args!("(rtalert: 0x{:04x}) ", u16_at(rest, 2)?)),
            other => push(text, format_args!("(opt_type 0x{other:02x}: len={})", length - 2)),
        }
        rest = rest.get(length..)?;
    }
    text.push(' ');
    Some(())
}
