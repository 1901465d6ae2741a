//! Routing protocols over IP: OSPF, PIM and VRRP, by message type and length.

use super::ip::Ip;
use super::push;
use crate::dissect::u16_at;

pub(super) const OSPF: u8 = 89;
pub(super) const PIM: u8 = 103;
pub(super) const VRRP: u8 = 112;

/// Appends one of these protocols; returns its name if the captured bytes end within it.
pub(super) fn routing_protocol(
    text: &mut String,
    protocol: u8,
    data: &[u8],
    ip: &Ip<'_>,
) -> Result<(), &'static str> {
    match protocol {
        OSPF if ip.source.is_ipv4() => ospf(text, data, ip).ok_or("ospf2"),
        OSPF => ospf(text, data, ip).ok_or("ospf3"),
        PIM => pim(text, data, ip).ok_or("pim"),
        _ => vrrp(text, data, ip).ok_or("vrrp"),
    }
}

fn ospf(text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
    const KINDS: [&str; 5] = ["Hello", "Database Description", "LS-Request", "LS-Update", "LS-Ack"];
    let over_ipv4 = ip.source.is_ipv4();
    let (version, kind) = (*data.first()?, *data.get(1)?);
    // A truncated header has no message type.
    data.get(..if over_ipv4 { 4 } else { 2 })?;
    push(text, format_args!("OSPFv{version}, "));
    match KINDS.get(usize::from(kind).wrapping_sub(1)) {
        Some(name) => text.push_str(name),
        None if over_ipv4 => push(text, format_args!("unknown LS-type {kind}")),
        None => push(text, format_args!("unknown packet type ({kind})")),
    }
    push(text, format_args!(", length {}", ip.length));
    Some(())
}

fn pim(text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
    const KINDS: [&str; 12] = [
        "Hello",
        "Register",
        "Register Stop",
        "Join / Prune",
        "Bootstrap",
        "Assert",
        "Graft",
        "Graft Acknowledgement",
        "Candidate RP Advertisement",
        "Prune Refresh",
        "DF Election",
        "ECMP Redirect",
    ];
    let first = *data.first()?;
    push(text, format_args!("PIMv{}", first >> 4));
    if first >> 4 == 2 {
        let name = KINDS.get(usize::from(first & 0xf)).unwrap_or(&"Unknown Type");
        push(text, format_args!(", {name}"));
    }
    push(text, format_args!(", length {}", ip.length));
    Some(())
}

fn vrrp(text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
    let Some(first) = data.first() else {
        text.push_str("VRRP");
        return None;
    };
    let (version, kind) = (first >> 4, first & 0xf);
    push(text, format_args!("VRRPv{version}, "));
    match kind {
        1 => text.push_str("Advertisement"),
        other => push(text, format_args!("unknown type ({other})")),
    }
    if ip.hops != 255 {
        push(text, format_args!(", (ttl {})", ip.hops));
    }
    if kind != 1 || !matches!(version, 2 | 3) {
        return Some(());
    }
    let (router, priority) = (*data.get(1)?, *data.get(2)?);
    let times = u16_at(data, 4)?;
    push(text, format_args!(", vrid {router}, prio {priority}"));
    if version == 2 {
        match times >> 8 {
            0 => text.push_str(", authtype none"),
            1 => text.push_str(", authtype simple"),
            2 => text.push_str(", authtype ah"),
            other => push(text, format_args!(", authtype #{other}")),
        }
        push(text, format_args!(", intvl {}s", times & 0xff));
    } else {
        push(text, format_args!(", intvl {}cs", times & 0xfff));
    }
    push(text, format_args!(", length {}", ip.length));
    Some(())
}
