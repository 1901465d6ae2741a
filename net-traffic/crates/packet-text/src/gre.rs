//! GRE and its payload.

use super::link::{BRIDGED, MPLS, MPLS_MULTICAST};
use super::{Printer, push};
use crate::dissect::{IPV4, IPV6, u16_at, u32_at};

const CHECKSUM: u16 = 0x8000;
const ROUTING: u16 = 0x4000;
const KEY: u16 = 0x2000;
const SEQUENCE: u16 = 0x1000;
const SOURCE_ROUTE: u16 = 0x0800;
const ACK: u16 = 0x0080;
const PPP: u16 = 0x880b;

impl Printer {
    pub(super) fn gre(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        let (flags, protocol) = (u16_at(data, 0)?, u16_at(data, 2)?);
        let version = flags & 7;
        push(text, format_args!("GREv{version}"));
        if version > 1 {
            text.push_str(" ERROR: unknown-version");
            return Some(());
        }
        let verbose = self.settings.verbose > 0;
        if verbose {
            flag_names(text, flags);
        }
        let mut at = 4;
        let mut has_payload = true;
        if version == 0 {
            if flags & (CHECKSUM | ROUTING) != 0 {
                let (sum, offset) = (u16_at(data, at)?, u16_at(data, at + 2)?);
                if verbose {
                    push(text, format_args!(", sum 0x{sum:x}"));
                }
                push(text, format_args!(", off 0x{offset:x}"));
                at += 4;
            }
            if flags & KEY != 0 {
                push(text, format_args!(", key=0x{:x}", u32_at(data, at)?));
                at += 4;
            }
        } else if flags & KEY != 0 {
            push(text, format_args!(", call {}", u16_at(data, at + 2)?));
            at += 4;
        }
        if flags & SEQUENCE != 0 {
            push(text, format_args!(", seq {}", u32_at(data, at)?));
            at += 4;
        }
        if version == 1 {
            if flags & ACK != 0 {
                push(text, format_args!(", ack {}", u32_at(data, at)?));
                at += 4;
            }
            has_payload = flags & SEQUENCE != 0;
            text.push_str(if has_payload { "" } else { ", no-payload" });
        } else if flags & ROUTING != 0 {
            at = skip_routes(data, at)?;
        }
        if self.settings.link {
            push(text, format_args!(", proto {} (0x{protocol:04x})", carried(protocol)));
        }
        push(text, format_args!(", length {length}"));
        if !has_payload {
            return Some(());
        }
        text.push_str(if verbose { "\n\t" } else { ": " });
        let (payload, rest) = (data.get(at..)?, length.saturating_sub(at));
        match (version, protocol) {
            (0, IPV4 | IPV6 | MPLS) => self.network(text, protocol, payload, rest),
            (0, BRIDGED) => self.bridged(text, payload, rest),
            (1, PPP) => return self.ppp(text, payload, rest),
            _ => push(text, format_args!("gre-proto-0x{protocol:x}")),
        }
        Some(())
    }
}

fn flag_names(text: &mut String, flags: u16) {
    let names: Vec<&str> = [
        (CHECKSUM, "checksum present"),
        (ROUTING, "routing present"),
        (KEY, "key present"),
        (SEQUENCE, "sequence# present"),
        (SOURCE_ROUTE, "source routing present"),
        (ACK, "ack present"),
    ]
    .into_iter()
    .filter_map(|(bit, name)| (flags & bit != 0).then_some(name))
    .collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    push(text, format_args!(", Flags [{names}]"));
}

/// The end of the source routes, which is an entry of length 0.
fn skip_routes(data: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let length = usize::from(*data.get(at + 3)?);
        let family = u16_at(data, at)?;
        at += 4 + length;
        if family == 0 && length == 0 {
            return Some(at);
        }
    }
}

/// The name of a tunnel's payload.
pub(super) fn carried(protocol: u16) -> &'static str {
    match protocol {
        IPV4 => "IPv4",
        IPV6 => "IPv6",
        MPLS => "MPLS unicast",
        MPLS_MULTICAST => "MPLS multicast",
        PPP => "PPP",
        BRIDGED => "TEB",
        _ => "unknown",
    }
}
