//! ICMP.

use super::ip::Ip;
use super::{Printer, push};
use crate::dissect::{TCP, UDP, checksum, ipv4, should_be, u16_at, u32_at};

impl Printer {
    pub(super) fn icmp(&mut self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        let (kind, code) = (*data.first()?, *data.get(1)?);
        // A truncated message appends nothing, and the caller appends `[|icmp]`.
        let mut words = String::new();
        message(&mut words, kind, code, data)?;
        push(text, format_args!("ICMP {words}, length {}", ip.length));
        if self.settings.verbose > 0 && !ip.is_fragment {
            self.icmp_verbose(text, kind, data, ip)
        } else {
            Some(())
        }
    }

    /// Appends the checksum and the quoted packet.
    fn icmp_verbose(&mut self, text: &mut String, kind: u8, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        if let Some(message) = data.get(..ip.length) {
            let sum = checksum(&[message]);
            if sum != 0 && !self.settings.unchecked {
                let found = u16_at(data, 2)?;
                push(text, format_args!(" (wrong icmp cksum {found:x} (->{:x})!)", should_be(found, sum)));
            }
        }
        if matches!(kind, 3 | 4 | 5 | 11 | 12) {
            text.push_str("\n\t");
            let quoted = data.get(8..)?;
            let length = usize::from(u16_at(quoted, 2)?);
            self.ipv4(text, quoted, length)?;
        }
        Some(())
    }
}

fn message(text: &mut String, kind: u8, code: u8, data: &[u8]) -> Option<()> {
    match kind {
        0 | 8 => {
            let name = if kind == 8 { "request" } else { "reply" };
            let (id, sequence) = (u16_at(data, 4)?, u16_at(data, 6)?);
            push(text, format_args!("echo {name}, id {id}, seq {sequence}"));
        }
        3 => unreachable(text, code, data)?,
        4 => text.push_str("source quench"),
        5 => {
            let (destination, router) = (ipv4(data, 24)?, ipv4(data, 4)?);
            match code {
                0 => push(text, format_args!("redirect {destination} to net {router}")),
                1 => push(text, format_args!("redirect {destination} to host {router}")),
                2 => push(text, format_args!("redirect-tos {destination} to net {router}")),
                3 => push(text, format_args!("redirect-tos {destination} to host {router}")),
                other => push(text, format_args!("redirect-#{other} {destination} to {router}")),
            }
        }
        9 => routers(text, data)?,
        10 => text.push_str("router solicitation"),
        11 => match code {
            0 => text.push_str("time exceeded in-transit"),
            1 => text.push_str("ip reassembly time exceeded"),
            other => push(text, format_args!("time exceeded-#{other}")),
        },
        12 if code == 0 => push(text, format_args!("parameter problem - octet {}", data.get(4)?)),
        12 => push(text, format_args!("parameter problem - code {code}")),
        13 => {
            let (id, sequence) = (u16_at(data, 4)?, u16_at(data, 6)?);
            push(text, format_args!("time stamp query id {id} seq {sequence}"));
        }
        14 => {
            let (id, sequence) = (u16_at(data, 4)?, u16_at(data, 6)?);
            push(text, format_args!("time stamp reply id {id} seq {sequence}:"));
            for (word, at, end) in [("org", 8, ","), ("recv", 12, ","), ("xmit", 16, "")] {
                push(text, format_args!(" {word} {}{end}", time_of_day(u32_at(data, at)?)));
            }
        }
        15 => text.push_str("information request"),
        16 => text.push_str("information reply"),
        17 => text.push_str("address mask request"),
        18 => push(text, format_args!("address mask is 0x{:08x}", u32_at(data, 8)?)),
        other => push(text, format_args!("type-#{other}")),
    }
    Some(())
}

/// Appends the routers of an advertisement with their preferences.
fn routers(text: &mut String, data: &[u8]) -> Option<()> {
    let (count, size, seconds) = (*data.get(4)?, *data.get(5)?, u16_at(data, 6)?);
    text.push_str("router advertisement lifetime ");
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    match seconds {
        0..60 => push(text, format_args!("{seconds}")),
        60..3600 => push(text, format_args!("{minutes}:{:02}", seconds % 60)),
        _ => push(text, format_args!("{hours}:{minutes:02}:{:02}", seconds % 60)),
    }
    push(text, format_args!(" {count}:"));
    if size != 2 {
        push(text, format_args!(" [size {size}]"));
        return Some(());
    }
    for place in 0..usize::from(count) {
        let (address, preference) = (ipv4(data, 8 + place * 8)?, u32_at(data, 12 + place * 8)?);
        push(text, format_args!(" {{{address} {preference}}}"));
    }
    Some(())
}

/// A time of day, from milliseconds since midnight.
fn time_of_day(milliseconds: u32) -> String {
    let (seconds, milli) = (milliseconds / 1000, milliseconds % 1000);
    format!("{:02}:{:02}:{:02}.{milli:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn unreachable(text: &mut String, code: u8, data: &[u8]) -> Option<()> {
    let quoted = data.get(8..)?;
    let destination = ipv4(quoted, 16)?;
    let (before, after) = match code {
        0 => ("net ", "unreachable"),
        1 => ("host ", "unreachable"),
        2 => {
            push(text, format_args!("{destination} protocol {} unreachable", quoted.get(9)?));
            return Some(());
        }
        3 => {
            let (protocol, header) = (*quoted.get(9)?, usize::from(quoted.first()? & 0xf) * 4);
            let port = u16_at(quoted, header + 2)?;
            match protocol {
                TCP => push(text, format_args!("{destination} tcp port {port} unreachable")),
                UDP => push(text, format_args!("{destination} udp port {port} unreachable")),
                other => push(text, format_args!("{destination} protocol {other} port {port} unreachable")),
            }
            return Some(());
        }
        4 => {
            let mtu = u16_at(data, 6)?;
            push(text, format_args!("{destination} unreachable - need to frag"));
            if mtu != 0 {
                push(text, format_args!(" (mtu {mtu})"));
            }
            return Some(());
        }
        5 => ("", "unreachable - source route failed"),
        6 => ("net ", "unreachable - unknown"),
        7 => ("host ", "unreachable - unknown"),
        8 => ("", "unreachable - source host isolated"),
        9 => ("net ", "unreachable - admin prohibited"),
        10 => ("host ", "unreachable - admin prohibited"),
        11 => ("net ", "unreachable - tos prohibited"),
        12 => ("host ", "unreachable - tos prohibited"),
        13 => ("host ", "unreachable - admin prohibited filter"),
        14 => ("host ", "unreachable - host precedence violation"),
        15 => ("host ", "unreachable - precedence cutoff"),
        other => {
            push(text, format_args!("{destination} unreachable - #{other}"));
            return Some(());
        }
    };
    push(text, format_args!("{before}{destination} {after}"));
    Some(())
}
