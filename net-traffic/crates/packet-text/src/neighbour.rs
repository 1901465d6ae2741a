//! Neighbour discovery: router advertisements and options.

use super::{hex, mac, push};
use crate::dissect::{ipv6, u16_at, u32_at};

/// Appends the fields of a router advertisement.
pub(super) fn router(text: &mut String, data: &[u8]) -> Option<()> {
    let (hops, flags, lifetime) = (*data.get(4)?, *data.get(5)?, u16_at(data, 6)?);
    let (reachable, again) = (u32_at(data, 8)?, u32_at(data, 12)?);
    let names: Vec<&str> = [(0x80, "managed"), (0x40, "other stateful"), (0x20, "home agent")]
        .into_iter()
        .filter_map(|(bit, name)| (flags & bit != 0).then_some(name))
        .collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    push(text, format_args!("\n\thop limit {hops}, Flags [{names}], pref {}", preference(flags)));
    push(text, format_args!(", router lifetime {lifetime}s, reachable time {reachable}ms"));
    push(text, format_args!(", retrans timer {again}ms"));
    Some(())
}

/// Appends the options, one a line.
pub(super) fn options(text: &mut String, mut options: &[u8], verbose: u8) -> Option<()> {
    while let (Some(kind), Some(units)) = (options.first(), options.get(1)) {
        let length = usize::from(*units) * 8;
        let (Some(option), true) = (options.get(..length), length > 0) else { return Some(()) };
        let name = match kind {
            1 => "source link-address",
            2 => "destination link-address",
            3 => "prefix info",
            5 => "mtu",
            24 => "route info",
            25 => "rdnss",
            31 => "dnssl",
            _ => "unknown",
        };
        push(text, format_args!("\n\t  {name} option ({kind}), length {length} ({units}): "));
        let is_known = match kind {
            1 | 2 => {
                mac(text, option.get(2..8)?);
                true
            }
            3 => prefix(text, option)?,
            5 => {
                push(text, format_args!(" {}", u32_at(option, 4)?));
                true
            }
            24 => route(text, option)?,
            25 => servers(text, option)?,
            31 => domains(text, option)?,
            _ => false,
        };
        if !is_known || verbose > 1 {
            let indent = if verbose > 1 { "\n\t    " } else { "\n\t  " };
            hex::rows(text, indent, &option[2..], false);
        }
        options = &options[length..];
    }
    Some(())
}

/// Appends a prefix option. Like the following functions, returns `true`: the option is known.
fn prefix(text: &mut String, option: &[u8]) -> Option<bool> {
    let (bits, flags, address) = (*option.get(2)?, *option.get(3)?, ipv6(option, 16)?);
    push(text, format_args!("{address}/{bits}, Flags ["));
    let names: Vec<&str> = [(0x80, "onlink"), (0x40, "auto"), (0x20, "router")]
        .into_iter()
        .filter_map(|(bit, name)| (flags & bit != 0).then_some(name))
        .collect();
    let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    push(text, format_args!("{names}], valid time {}", lifetime(u32_at(option, 4)?)));
    push(text, format_args!(", pref. time {}", lifetime(u32_at(option, 8)?)));
    Some(true)
}

fn route(text: &mut String, option: &[u8]) -> Option<bool> {
    // The option may contain only the bytes of the prefix.
    let mut octets = [0; 16];
    let address = option.get(8..)?;
    let shown = address.len().min(16);
    octets[..shown].copy_from_slice(&address[..shown]);
    let (address, bits, flags) = (std::net::Ipv6Addr::from(octets), *option.get(2)?, *option.get(3)?);
    push(text, format_args!(" {address}/{bits}, pref={}", preference(flags)));
    push(text, format_args!(", lifetime={}", lifetime(u32_at(option, 4)?)));
    Some(true)
}

fn servers(text: &mut String, option: &[u8]) -> Option<bool> {
    push(text, format_args!(" lifetime {},", lifetime(u32_at(option, 4)?)));
    for place in 0..(option.len() - 8) / 16 {
        push(text, format_args!(" addr: {}", ipv6(option, 8 + place * 16)?));
    }
    Some(true)
}

fn domains(text: &mut String, option: &[u8]) -> Option<bool> {
    push(text, format_args!(" lifetime {}, domain(s):", lifetime(u32_at(option, 4)?)));
    let mut rest = &option[8..];
    while let Some(first) = rest.first() {
        // The remaining bytes are padding.
        if *first == 0 {
            break;
        }
        text.push(' ');
        while let Some((length, behind)) = rest.split_first() {
            rest = behind;
            if *length == 0 {
                break;
            }
            let label = rest.get(..usize::from(*length))?;
            hex::safe(text, label);
            text.push('.');
            rest = &rest[label.len()..];
        }
    }
    Some(true)
}

fn preference(flags: u8) -> &'static str {
    ["medium", "high", "*reserved*", "low"][usize::from(flags >> 3 & 3)]
}

fn lifetime(seconds: u32) -> String {
    if seconds == u32::MAX { "infinity".to_owned() } else { format!("{seconds}s") }
}
