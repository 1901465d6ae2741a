//! ICMP.

use super::super::dissect::{TCP, UDP, checksum, ipv4, should_be, u16_at};
use super::ip::Ip;
use super::{Printer, push};

impl Printer {
    pub(super) fn icmp(&mut self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        let (kind, code) = (*data.first()?, *data.get(1)?);
        text.push_str("ICMP ");
        match kind {
            0 | 8 => {
                let name = if kind == 8 { "request" } else { "reply" };
                let (id, sequence) = (u16_at(data, 4)?, u16_at(data, 6)?);
                push(text, format_args!("echo {name}, id {id}, seq {sequence}"));
            }
            3 => unreachable(text, code, data)?,
            4 => text.push_str("source quench"),
            5 => {
                let to = match code {
                    0 => "net",
                    1 => "host",
                    2 => "type-of-service and net",
                    3 => "type-of-service and host",
                    _ => "?",
                };
                push(text, format_args!("redirect {} to {to} {}", ipv4(data, 24)?, ipv4(data, 4)?));
            }
            9 => text.push_str("router advertisement"),
            10 => text.push_str("router solicitation"),
            11 => match code {
                0 => text.push_str("time exceeded in-transit"),
                1 => text.push_str("ip reassembly time exceeded"),
                other => push(text, format_args!("time exceeded-#{other}")),
            },
            12 => push(text, format_args!("parameter problem - octet {}", data.get(4)?)),
            13 => {
                let (id, sequence) = (u16_at(data, 4)?, u16_at(data, 6)?);
                push(text, format_args!("time stamp query id {id} seq {sequence}"));
            }
            other => push(text, format_args!("type-#{other}")),
        }
        push(text, format_args!(", length {}", ip.length));
        if self.settings.verbose > 0 && !ip.is_fragment {
            if let Some(message) = data.get(..ip.length) {
                let sum = checksum(&[message]);
                if sum != 0 && !self.settings.unchecked {
                    let found = u16_at(data, 2)?;
                    push(
                        text,
                        format_args!(" (wrong icmp cksum {found:x} (->{:x})!)", should_be(found, sum)),
                    );
                }
            }
            if matches!(kind, 3 | 4 | 5 | 11 | 12) {
                text.push_str("\n\t");
                let quoted = data.get(8..)?;
                let length = usize::from(u16_at(quoted, 2)?);
                self.ipv4(text, quoted, length)?;
            }
        }
        Some(())
    }
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
