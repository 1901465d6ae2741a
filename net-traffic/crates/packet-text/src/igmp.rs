//! IGMP: membership queries and reports.

use super::ip::Ip;
use super::time::duration;
use super::{Printer, push};
use crate::dissect::{checksum, ipv4, u16_at};

impl Printer {
    pub(super) fn igmp(&self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        if self.settings.quick {
            text.push_str("igmp");
            return Some(());
        }
        let verbose = self.settings.verbose;
        let (kind, code) = (*data.first()?, *data.get(1)?);
        match kind {
            0x11 if ip.length >= 12 => query(text, data, ip.length, verbose > 1)?,
            0x11 => {
                text.push_str(if code == 0 { "igmp query v1" } else { "igmp query v2" });
                if code > 0 && code != 100 {
                    push(text, format_args!(" [max resp time {code}]"));
                }
                let group = ipv4(data, 4)?;
                if !group.is_unspecified() {
                    push(text, format_args!(" [gaddr {group}]"));
                }
                if ip.length != 8 {
                    push(text, format_args!(" [len {}]", ip.length));
                }
            }
            0x12 | 0x16 => {
                let version = if kind == 0x12 { 1 } else { 2 };
                push(text, format_args!("igmp v{version} report {}", ipv4(data, 4)?));
                if ip.length != 8 {
                    push(text, format_args!(" [len {}]", ip.length));
                }
            }
            0x17 => push(text, format_args!("igmp leave {}", ipv4(data, 4)?)),
            0x22 => report(text, data, ip.length, verbose)?,
            other => push(text, format_args!("igmp-{other}")),
        }
        if verbose > 0
            && let Some(message) = data.get(..ip.length)
            && checksum(&[message]) != 0
        {
            push(text, format_args!(" bad igmp cksum {:x}!", u16_at(data, 2)?));
        }
        Some(())
    }
}

/// Appends an `IGMPv3` query.
fn query(text: &mut String, data: &[u8], length: usize, sources_too: bool) -> Option<()> {
    let code = *data.get(1)?;
    text.push_str("igmp query v3");
    // Tenths of a second; from 128 on a floating-point number (RFC 3376, section 4.1.1).
    let tenths =
        if code < 128 { u32::from(code) } else { (u32::from(code & 0xf) | 0x10) << ((code >> 4 & 7) + 3) };
    match (tenths / 10, tenths % 10) {
        (10, 0) => {}
        (seconds @ 0..60, tenths) => push(text, format_args!(" [max resp time {seconds}.{tenths}s]")),
        (seconds, _) => push(text, format_args!(" [max resp time {}]", duration(seconds))),
    }
    let (group, sources) = (ipv4(data, 4)?, usize::from(u16_at(data, 10)?));
    if group.is_unspecified() {
        return Some(());
    }
    push(text, format_args!(" [gaddr {group}"));
    if sources > 0 {
        if 12 + sources * 4 > length {
            text.push_str(" [invalid number of sources]");
        } else if sources_too {
            listed(text, data, 12, sources)?;
        } else {
            push(text, format_args!(", {sources} source(s)"));
        }
    }
    text.push(']');
    Some(())
}

/// Appends an `IGMPv3` report.
fn report(text: &mut String, data: &[u8], length: usize, verbose: u8) -> Option<()> {
    const KINDS: [&str; 6] = ["is_in", "is_ex", "to_in", "to_ex", "allow", "block"];
    text.push_str("igmp v3 report");
    if length < 16 {
        push(text, format_args!(" [invalid len {length}]"));
        return Some(());
    }
    let groups = u16_at(data, 6)?;
    push(text, format_args!(", {groups} group record(s)"));
    if verbose == 0 {
        return Some(());
    }
    let mut at = 8;
    for _ in 0..groups {
        if at + 8 > length {
            text.push_str(" [invalid number of groups]");
            break;
        }
        let (kind, sources, group) =
            (*data.get(at)?, usize::from(u16_at(data, at + 2)?), ipv4(data, at + 4)?);
        push(text, format_args!(" [gaddr {group}"));
        match KINDS.get(usize::from(kind.wrapping_sub(1))) {
            Some(name) => push(text, format_args!(" {name}")),
            None => push(text, format_args!("  [v3-report-#{kind}]")),
        }
        if at + 8 + sources * 4 > length {
            push(text, format_args!(" [invalid number of sources {sources}]"));
            break;
        }
        if verbose > 1 {
            listed(text, data, at + 8, sources)?;
        } else {
            push(text, format_args!(", {sources} source(s)"));
        }
        text.push(']');
        at += 8 + sources * 4 + usize::from(*data.get(at + 1)?) * 4;
    }
    Some(())
}

fn listed(text: &mut String, data: &[u8], at: usize, sources: usize) -> Option<()> {
    text.push_str(" {");
    for place in 0..sources {
        push(text, format_args!(" {}", ipv4(data, at + place * 4)?));
    }
    text.push_str(" }");
    Some(())
}
