//! ICMPv6 with the messages of neighbour discovery and multicast listeners.

use super::super::dissect::{ICMPV6, TCP, UDP, checksum, ipv6, should_be, u16_at, u32_at};
use super::ip::Ip;
use super::{Printer, mac, push};

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
            128 | 129 => push(text, format_args!(", id {}, seq {}", u16_at(data, 4)?, u16_at(data, 6)?)),
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
            143 => push(text, format_args!(", {} group record(s)", u16_at(data, 6)?)),
            _ => {}
        }
        if verbose && matches!(kind, 135 | 136) {
            link_addresses(text, data.get(24..ip.length.min(data.len())).unwrap_or(&[]));
        }
        if !verbose || !matches!(kind, 133..=137) {
            push(text, format_args!(", length {}", ip.length));
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
        143 => "multicast listener report v2",
        _ => return None,
    })
}

fn unreachable(text: &mut String, code: u8, quoted: &[u8]) -> Option<()> {
    let destination = ipv6(quoted, 24)?;
    let reason = match code {
        0 => "unreachable route",
        1 => "unreachable prohibited",
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
        other => {
            push(text, format_args!(", unknown unreach code ({other})"));
            return Some(());
        }
    };
    push(text, format_args!(", {reason} {destination}"));
    if code == 2 {
        push(text, format_args!(", source address {}", ipv6(quoted, 8)?));
    }
    Some(())
}

/// The options of neighbour discovery that name a link-layer address.
fn link_addresses(text: &mut String, mut options: &[u8]) {
    while let (Some(kind), Some(units)) = (options.first(), options.get(1)) {
        let length = usize::from(*units) * 8;
        let name = match kind {
            1 => "source link-address",
            2 => "destination link-address",
            _ => return,
        };
        let Some(address) = options.get(2..8) else { return };
        push(text, format_args!("\n\t  {name} option ({kind}), length {length} ({units}): "));
        mac(text, address);
        if length == 0 {
            return;
        }
        options = options.get(length..).unwrap_or(&[]);
    }
}
