//! `PPPoE`: discovery, and the packets of sessions.

use super::{Printer, hex, push};
use crate::dissect::{IPV4, IPV6, u16_at};

impl Printer {
    pub(super) fn pppoe(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        const HEADER: usize = 6;
        if length < HEADER {
            push(text, format_args!(" (length {length} < {HEADER}) (invalid)"));
            return Some(());
        }
        let (first, code, session) = (*data.first()?, *data.get(1)?, u16_at(data, 2)?);
        let stated = usize::from(u16_at(data, 4)?);
        let payload = &data[HEADER..];
        if first >> 4 != 1 {
            push(text, format_args!(" [ver {}]", first >> 4));
        }
        if first & 0xf != 1 {
            push(text, format_args!(" [type {}]", first & 0xf));
        }
        text.push_str("PPPoE ");
        match code {
            0x00 => {}
            0x09 => text.push_str("PADI"),
            0x07 => text.push_str("PADO"),
            0x19 => text.push_str("PADR"),
            0x65 => text.push_str("PADS"),
            0xa7 => text.push_str("PADT"),
            other => push(text, format_args!("PAD-{other:X}")),
        }
        if session != 0 {
            push(text, format_args!(" [ses 0x{session:x}]"));
        }
        let within = length - HEADER;
        if stated > within {
            push(text, format_args!(" [len {stated} > {within}!]"));
        }
        let shown = stated.min(within);
        let payload = payload.get(..shown).unwrap_or(payload);
        if code == 0 {
            text.push(' ');
            return self.ppp(text, payload, shown);
        }
        tags(text, payload)
    }

    /// Appends a PPP packet, which starts with its protocol number.
    pub(super) fn ppp(&mut self, text: &mut String, data: &[u8], length: usize) -> Option<()> {
        let (first, second) = (*data.first()?, data.get(1));
        // An odd first byte is a compressed protocol number (RFC 1661, section 6.5).
        let (protocol, size) = if first & 1 == 1 { (first.into(), 1) } else { (u16_at(data, 0)?, 2) };
        second?;
        let (data, inside) = (&data[size..], length.saturating_sub(size));
        let name = name(protocol);
        if self.settings.link {
            push(text, format_args!("{} (0x{protocol:04x}), length {length}", name.unwrap_or("unknown")));
            text.push_str(if name.is_some() { ": " } else { "" });
        }
        match (protocol, name) {
            (0x0021, _) => self.network(text, IPV4, data, inside),
            (0x0057, _) => self.network(text, IPV6, data, inside),
            (0x0281 | 0x0283, _) => self.mpls(text, data, inside),
            (PAP | CHAP, Some(name)) => return authentication(text, name, protocol == CHAP, data),
            (_, Some(name)) => {
                let code = *data.first()?;
                let word = control_code(code);
                push(
                    text,
                    format_args!("{name}, {word} (0x{code:02x}), id {}, length {length}", data.get(1)?),
                );
            }
            (_, None) if self.settings.link => {}
            (_, None) => {
                push(text, format_args!("unknown PPP protocol (0x{protocol:04x}) "));
                hex::plain(text, data);
            }
        }
        Some(())
    }
}

const PAP: u16 = 0xc023;
const CHAP: u16 = 0xc223;

fn name(protocol: u16) -> Option<&'static str> {
    Some(match protocol {
        0x0021 => "IP",
        0x0057 => "IP6",
        0x0281 => "MPLS",
        0x0283 => "MPLS-MC",
        0x8021 => "IPCP",
        0x8057 => "IP6CP",
        0x80fd => "CCP",
        0x8281 => "MPLSCP",
        0xc021 => "LCP",
        PAP => "PAP",
        CHAP => "CHAP",
        _ => return None,
    })
}

fn control_code(code: u8) -> &'static str {
    const CODES: [&str; 15] = [
        "Conf-Request",
        "Conf-Ack",
        "Conf-Nack",
        "Conf-Reject",
        "Term-Request",
        "Term-Ack",
        "Code-Reject",
        "Prot-Reject",
        "Echo-Request",
        "Echo-Reply",
        "Disc-Req",
        "Ident",
        "Time-Rem",
        "Reset-Req",
        "Reset-Ack",
    ];
    CODES.get(usize::from(code.wrapping_sub(1))).unwrap_or(&"Unknown Opcode")
}

/// Appends PAP and CHAP packets with the names and values that they carry in plain text.
fn authentication(text: &mut String, name: &str, is_chap: bool, data: &[u8]) -> Option<()> {
    const PAP_CODES: [&str; 3] = ["Auth-Req", "Auth-ACK", "Auth-NACK"];
    const CHAP_CODES: [&str; 4] = ["Challenge", "Response", "Success", "Fail"];
    let codes: &[&str] = if is_chap { &CHAP_CODES } else { &PAP_CODES };
    let (code, id, stated) = (*data.first()?, *data.get(1)?, usize::from(u16_at(data, 2)?));
    let word = codes.get(usize::from(code.wrapping_sub(1)));
    push(text, format_args!("{name}, {} (0x{code:02x}), id {id}", word.unwrap_or(&"unknown")));
    let data = data.get(4..stated.max(4))?;
    let field = |data: &'_ [u8]| Some(data.split_at_checked(usize::from(*data.first()?) + 1)?.0.len());
    match (is_chap, code) {
        (true, 1 | 2) => {
            let end = field(data)?;
            text.push_str(", Value ");
            hex::digits(text, &data[1..end]);
            text.push_str(", Name ");
            hex::safe(text, &data[end..]);
        }
        (true, 3 | 4) => {
            text.push_str(", Msg ");
            hex::safe(text, data);
        }
        (false, 1) => {
            let end = field(data)?;
            text.push_str(", Peer ");
            hex::safe(text, &data[1..end]);
            let secret = &data[end..];
            let end = field(secret)?;
            text.push_str(", Name ");
            hex::safe(text, &secret[1..end]);
        }
        (false, 2 | 3) => {
            let end = field(data)?;
            text.push_str(", Msg ");
            hex::safe(text, &data[1..end]);
        }
        _ => {}
    }
    Some(())
}

/// Appends the tags of a discovery packet.
fn tags(text: &mut String, mut data: &[u8]) -> Option<()> {
    while !data.is_empty() {
        let (kind, length) = (u16_at(data, 0)?, usize::from(u16_at(data, 2)?));
        let name = match kind {
            0x0000 => "EOL",
            0x0101 => "Service-Name",
            0x0102 => "AC-Name",
            0x0103 => "Host-Uniq",
            0x0104 => "AC-Cookie",
            0x0105 => "Vendor-Specific",
            0x0110 => "Relay-Session-ID",
            0x0120 => "PPP-Max-Payload",
            0x0201 => "Service-Name-Error",
            0x0202 => "AC-System-Error",
            0x0203 => "Generic-Error",
            _ => "",
        };
        text.push_str(" [");
        match name {
            "" => push(text, format_args!("TAG-0x{kind:x}")),
            name => text.push_str(name),
        }
        let value = data.get(4..4 + length)?;
        let printable = value.iter().filter(|octet| (0x20..0x7f).contains(*octet)).count();
        if length > 0 && printable * 2 > length {
            text.push_str(" \"");
            hex::safe(text, value);
            text.push('"');
        } else if length > 0 {
            text.push_str(" 0x");
            hex::digits(text, value);
        }
        text.push(']');
        data = &data[4 + length..];
    }
    Some(())
}
