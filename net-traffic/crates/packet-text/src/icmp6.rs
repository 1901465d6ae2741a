//! `ICMPv6` with the messages of neighbour discovery and multicast listeners.

use super::ip::Ip;
use super::{Printer, hex, neighbour, push};
use crate::dissect::{ICMPV6, TCP, UDP, checksum, ipv6, should_be, u16_at, u32_at};

impl Printer {
    pub(super) fn icmp6(&mut self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        let (kind, code) = (*data.first()?, *data.get(1)?);
        let verbose = self.settings.verbose > 0;
        if verbose && !self.settings.unchecked && !ip.is_fragment {
            check(text, data, ip)?;
        }
        text.push_str("ICMP6, ");
        match name(kind) {
            Some(name) => text.push_str(name),
            None => push(text, format_args!("unknown icmp6 type ({kind})")),
        }
        if verbose && matches!(kind, 133..=137) {
            push(text, format_args!(", length {}", ip.length));
        }
        match kind {
            1 if code > 4 => {
                push(text, format_args!(", unknown unreach code ({code})"));
                if self.settings.verbose < 2 {
                    hex::plain(text, data);
                }
                return Some(());
            }
            1 => unreachable(text, code, data.get(8..)?)?,
            2 => push(text, format_args!(", mtu {}", u32_at(data, 4)?)),
            3 => {
                let destination = ipv6(data, 8 + 24)?;
                match code {
                    0 => push(text, format_args!(" for {destination}")),
                    1 => text.push_str(" (reassembly)"),
                    other => push(text, format_args!(", unknown code ({other})")),
                }
            }
            4 => {
                match code {
                    0 => text.push_str(", erroneous"),
                    1 => text.push_str(", next header"),
                    2 => text.push_str(", option"),
                    3 => text.push_str(", incomplete header chain"),
                    other => push(text, format_args!(", code-#{other}")),
                }
                if code <= 3 {
                    push(text, format_args!(" - octet {}", u32_at(data, 4)?));
                }
            }
            128 | 129 => push(text, format_args!(", id {}, seq {}", u16_at(data, 4)?, u16_at(data, 6)?)),
            130 if ip.length >= 28 => group_query(text, data, ip.length, self.settings.verbose)?,
            130..=132 => {
                let (delay, group) = (u16_at(data, 4)?, ipv6(data, 8)?);
                push(text, format_args!("max resp delay: {delay} addr: {group}"));
            }
            135 => push(text, format_args!(", who has {}", ipv6(data, 8)?)),
            136 => {
                push(text, format_args!(", tgt is {}", ipv6(data, 8)?));
                if verbose {
                    let flags = u32_at(data, 4)?;
                    let flags: Vec<&str> = [(31, "router"), (30, "solicited"), (29, "override")]
                        .into_iter()
                        .filter_map(|(bit, name)| (flags >> bit & 1 == 1).then_some(name))
                        .collect();
                    let flags = if flags.is_empty() { "none".to_owned() } else { flags.join(", ") };
                    push(text, format_args!(", Flags [{flags}]"));
                }
            }
            134 if verbose => neighbour::router(text, data)?,
            137 => push(text, format_args!(", {} to {}", ipv6(data, 24)?, ipv6(data, 8)?)),
            143 => {
                push(text, format_args!(", {} group record(s)", u16_at(data, 6)?));
                if verbose {
                    group_records(text, data.get(8..)?, self.settings.verbose > 1)?;
                    return Some(());
                }
            }
            _ => {}
        }
        let options = match kind {
            133 => Some(8),
            134 => Some(16),
            135 | 136 => Some(24),
            137 => Some(40),
            _ => None,
        };
        if verbose && let Some(begin) = options {
            let options = data.get(begin..ip.length.min(data.len())).unwrap_or(&[]);
            neighbour::options(text, options, self.settings.verbose)?;
        }
        let is_known = name(kind).is_some();
        if !verbose || !is_known {
            push(text, format_args!(", length {}", ip.length));
        }
        if !is_known && self.settings.verbose < 2 {
            hex::plain(text, data);
        }
        Some(())
    }
}

fn check(text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
    if let Some(message) = data.get(..ip.length) {
        let sum = checksum(&[&ip.pseudo_header(ICMPV6), message]);
        if sum == 0 {
            text.push_str("[icmp6 sum ok] ");
        } else {
            let found = u16_at(data, 2)?;
            push(text, format_args!("[bad icmp6 cksum 0x{found:04x} -> 0x{:04x}!] ", should_be(found, sum)));
        }
    }
    Some(())
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        1 => "destination unreachable",
        2 => "packet too big",
        3 => "time exceeded in-transit",
        4 => "parameter problem",
        128 => "echo request",
        129 => "echo reply",
        130 => "multicast listener query",
        131 => "multicast listener report",
        132 => "multicast listener done",
        133 => "router solicitation",
        134 => "router advertisement",
        135 => "neighbor solicitation",
        136 => "neighbor advertisement",
        137 => "redirect",
        141 => "inverse neighbor solicitation",
        142 => "inverse neighbor advertisement",
        143 => "multicast listener report v2",
        _ => return None,
    })
}

fn unreachable(text: &mut String, code: u8, quoted: &[u8]) -> Option<()> {
    let destination = ipv6(quoted, 24)?;
    let reason = match code {
        0 => "unreachable route",
        1 => " unreachable prohibited",
        2 => "beyond scope",
        3 => "unreachable address",
        4 => {
            let (protocol, port) = (*quoted.get(6)?, u16_at(quoted, 42)?);
            text.push_str(", unreachable port");
            match protocol {
                TCP => push(text, format_args!(", {destination} tcp port {port}")),
                UDP => push(text, format_args!(", {destination} udp port {port}")),
                other => push(text, format_args!(", {destination} protocol {other} port {port} unreachable")),
            }
            return Some(());
        }
        _ => return Some(()),
    };
    push(text, format_args!(", {reason} {destination}"));
    if code == 2 {
        push(text, format_args!(", source address {}", ipv6(quoted, 8)?));
    }
    Some(())
}

/// Appends an `MLDv2` query.
fn group_query(text: &mut String, data: &[u8], length: usize, verbose: u8) -> Option<()> {
    text.push_str(" v2");
    let (code, group, sources) = (u16_at(data, 4)?, ipv6(data, 8)?, u16_at(data, 26)?);
    let (flags, interval) = (*data.get(24)?, *data.get(25)?);
    if verbose > 0 {
        // A large value is a floating-point number (RFC 3810, section 5.1.3).
        let delay = if code < 0x8000 {
            u32::from(code)
        } else {
            (u32::from(code & 0x0fff) | 0x1000) << ((code >> 12 & 7) + 3)
        };
        push(text, format_args!(" [max resp delay={delay}]"));
    }
    push(text, format_args!(" [gaddr {group}"));
    if verbose > 0 {
        text.push_str(if flags & 8 == 0 { "" } else { " sflag" });
        if flags & 7 != 0 {
            push(text, format_args!(" robustness={}", flags & 7));
        }
        let interval = if interval < 0x80 {
            u32::from(interval)
        } else {
            (u32::from(interval & 0xf) | 0x10) << ((interval >> 4 & 7) + 3)
        };
        push(text, format_args!(" qqi={interval}"));
    }
    if sources > 0 && length < 28 + usize::from(sources) * 16 {
        push(text, format_args!(" [invalid number of sources]"));
    } else if sources > 0 && verbose > 1 {
        text.push_str(" {");
        for place in 0..usize::from(sources) {
            push(text, format_args!(" {}", ipv6(data, 28 + place * 16)?));
        }
        text.push_str(" }");
    } else if sources > 0 {
        push(text, format_args!(", {sources} source(s)"));
    }
    text.push(']');
    Some(())
}

/// Appends the records of an `MLDv2` report.
fn group_records(text: &mut String, mut records: &[u8], sources_too: bool) -> Option<()> {
    const KINDS: [&str; 6] = ["is_in", "is_ex", "to_in", "to_ex", "allow", "block"];
    while let Some(kind) = records.first() {
        let (count, group) = (usize::from(u16_at(records, 2)?), ipv6(records, 4)?);
        let name = KINDS.get(usize::from(kind.wrapping_sub(1)));
        push(text, format_args!(" [gaddr {group}"));
        match name {
            Some(name) => push(text, format_args!(" {name}")),
            None => push(text, format_args!(" [v2-report-#{kind}]")),
        }
        if sources_too {
            text.push_str(" {");
            for place in 0..count {
                push(text, format_args!(" {}", ipv6(records, 20 + place * 16)?));
            }
            text.push_str(" }");
        } else {
            push(text, format_args!(", {count} source(s)"));
        }
        text.push(']');
        records = records.get(20 + count * 16 + usize::from(*records.get(1)?) * 4..).unwrap_or(&[]);
    }
    Some(())
}
