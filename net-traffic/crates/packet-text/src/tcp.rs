//! TCP: flags, options, and sequence numbers relative to the initial ones.

use super::ip::Ip;
use super::{Printer, application, endpoint, hex, push, tls};
use crate::dissect::{TCP, checksum, should_be, u16_at, u32_at};

/// The key of a connection, the same for both directions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Stream {
    addresses: Vec<u8>,
    ports: (u16, u16),
}

/// The initial sequence number of each direction.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct InitialSequence {
    forward: u32,
    backward: u32,
}

/// The most connections with an initial sequence number: a port scan must not exhaust memory.
const MOST_STREAMS: usize = 1 << 16;

const HEADER: usize = 20;
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const ACK: u8 = 0x10;
const URG: u8 = 0x20;

impl Printer {
    pub(super) fn tcp(&mut self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        let (source, destination) = (u16_at(data, 0)?, u16_at(data, 2)?);
        if ip.is_next {
            endpoint(text, ip.source, source);
            text.push_str(" > ");
            endpoint(text, ip.destination, destination);
            text.push_str(": ");
        } else {
            push(text, format_args!("{source} > {destination}: "));
        }
        data.get(..HEADER)?;
        let (sequence, acknowledged) = (u32_at(data, 4)?, u32_at(data, 8)?);
        let header = usize::from(*data.get(12)? >> 4) * 4;
        let (flags, window) = (*data.get(13)?, u16_at(data, 14)?);
        if header < HEADER {
            push(
                text,
                format_args!(
                    " tcp {} [bad hdr length {header}, too short, < 20]",
                    ip.length.saturating_sub(header)
                ),
            );
            return Some(());
        }
        let Some(length) = ip.length.checked_sub(header) else {
            push(text, format_args!(" [bad hdr length {header}, too long, > {}]", ip.length));
            return Some(());
        };
        if self.settings.quick {
            push(text, format_args!("tcp {length}"));
            return Some(());
        }
        push(text, format_args!("Flags [{}]", flag_letters(flags)));
        if self.settings.verbose > 0 && !self.settings.unchecked && !ip.is_fragment {
            check(text, data, ip);
        }
        let relative = self.relative(ip, (source, destination), flags, sequence, acknowledged);
        let carried = u32::try_from(length).unwrap_or(u32::MAX);
        if self.settings.verbose > 1 || length > 0 || flags & (SYN | FIN | RST) != 0 {
            push(text, format_args!(", seq {}", relative.sequence));
            if length > 0 {
                push(text, format_args!(":{}", relative.sequence.wrapping_add(carried)));
            }
        }
        if flags & ACK != 0 {
            push(text, format_args!(", ack {}", relative.acknowledged));
        }
        push(text, format_args!(", win {window}"));
        if flags & URG != 0 {
            push(text, format_args!(", urg {}", u16_at(data, 18)?));
        }
        if header > HEADER {
            text.push_str(", options [");
            let captured = data.get(HEADER..header.min(data.len()))?;
            if !options(text, captured, header - HEADER, relative.peer_initial)? {
                return Some(());
            }
            text.push(']');
        }
        push(text, format_args!(", length {length}"));
        let payload = data.get(header..).unwrap_or(&[]);
        if length == 0 {
        } else if let Some(protocol) = application::textual(source, destination) {
            self.textual(text, protocol, payload, length);
        } else if source == 53 || destination == 53 {
            super::dns::over_tcp(text, payload, length, self.settings.verbose);
        } else if self.settings.verbose > 0
            && let Some(name) = tls::server_name(payload)
        {
            push(text, format_args!(": TLS ClientHello, SNI {name}"));
        }
        Some(())
    }

    fn relative(
        &mut self,
        ip: &Ip<'_>,
        (source, destination): (u16, u16),
        flags: u8,
        sequence: u32,
        acknowledged: u32,
    ) -> Relative {
        let absolute = Relative { sequence, acknowledged, peer_initial: 0 };
        if self.settings.absolute || flags & ACK == 0 {
            return absolute;
        }
        let (from, to) = ip.addresses.split_at(ip.addresses.len() / 2);
        let is_back = (source, from) > (destination, to);
        let stream = if is_back {
            Stream { addresses: [to, from].concat(), ports: (destination, source) }
        } else {
            Stream { addresses: ip.addresses.to_vec(), ports: (source, destination) }
        };
        let known = self.streams.get(&stream).copied().filter(|_| flags & SYN == 0);
        let Some(begin) = known else {
            let peer = acknowledged.wrapping_sub(1);
            let begin = if is_back {
                InitialSequence { forward: peer, backward: sequence }
            } else {
                InitialSequence { forward: sequence, backward: peer }
            };
            if self.streams.len() >= MOST_STREAMS {
                self.streams.clear();
            }
            self.streams.insert(stream, begin);
            return Relative { peer_initial: peer, ..absolute };
        };
        let (own, peer) =
            if is_back { (begin.backward, begin.forward) } else { (begin.forward, begin.backward) };
        Relative {
            sequence: sequence.wrapping_sub(own),
            acknowledged: acknowledged.wrapping_sub(peer),
            peer_initial: peer,
        }
    }
}

struct Relative {
    sequence: u32,
    acknowledged: u32,
    /// The initial sequence number of the peer, the base of selective acknowledgements.
    peer_initial: u32,
}

fn flag_letters(flags: u8) -> String {
    let letters: String =
        "FSRP.UEW".chars().enumerate().filter_map(|(bit, c)| (flags >> bit & 1 == 1).then_some(c)).collect();
    if letters.is_empty() { "none".to_owned() } else { letters }
}

/// Appends the checksum; a truncated segment has none.
fn check(text: &mut String, data: &[u8], ip: &Ip<'_>) {
    let (Some(segment), Some(found)) = (data.get(..ip.length), u16_at(data, 16)) else { return };
    push(text, format_args!(", cksum 0x{found:04x}"));
    let sum = checksum(&[&ip.pseudo_header(TCP), segment]);
    if sum == 0 {
        text.push_str(" (correct)");
    } else {
        push(text, format_args!(" (incorrect -> 0x{:04x})", should_be(found, sum)));
    }
}

/// Appends the options. `room` is their size, captured or not. Returns whether they are well-formed; `None` if the
/// captured bytes end within one.
fn options(text: &mut String, mut options: &[u8], mut room: usize, peer_initial: u32) -> Option<bool> {
    let mut is_first = true;
    while room > 0 {
        text.push_str(if is_first { "" } else { "," });
        let kind = options.first()?;
        let length = match kind {
            0 | 1 => 1,
            _ => usize::from(*options.get(1)?),
        };
        if length > room || *kind > 1 && length < 2 {
            text.push_str(if is_first { "[bad opt]" } else { "[bad opt]]" });
            return Some(false);
        }
        match name(*kind) {
            Some(name) => text.push_str(name),
            None => push(text, format_args!("unknown-{kind}")),
        }
        let Some(value) = options.get(..length) else {
            text.push_str(if is_first { " [|tcp]" } else { " [|tcp]>" });
            return Some(false);
        };
        if *kind == 0 {
            return Some(true);
        }
        if *kind > 1 && option_value(text, *kind, &value[2..], peer_initial).is_none() {
            text.push_str(if is_first { "[bad opt]" } else { "[bad opt]]" });
            return Some(false);
        }
        is_first = false;
        room -= length;
        options = &options[length..];
    }
    Some(true)
}

fn name(kind: u8) -> Option<&'static str> {
    Some(match kind {
        0 => "eol",
        1 => "nop",
        2 => "mss",
        3 => "wscale",
        4 => "sackOK",
        5 => "sack",
        6 => "echo",
        7 => "echoreply",
        8 => "TS",
        11 => "cc",
        12 => "ccnew",
        13 => "ccecho",
        19 => "md5",
        28 => "uto",
        29 => "tcp-ao",
        30 => "mptcp",
        34 => "tfo",
        254 => "exp",
        _ => return None,
    })
}

/// `None` if the option is too short.
fn option_value(text: &mut String, kind: u8, value: &[u8], peer_initial: u32) -> Option<()> {
    match kind {
        2 => push(text, format_args!(" {}", u16_at(value, 0)?)),
        3 => push(text, format_args!(" {}", value.first()?)),
        4 => {}
        5 if !value.len().is_multiple_of(8) || value.is_empty() => text.push_str(" invalid sack"),
        5 => {
            push(text, format_args!(" {} ", value.len() / 8));
            for block in value.chunks_exact(8) {
                let edge = |at| u32_at(block, at).map(|edge| edge.wrapping_sub(peer_initial));
                push(text, format_args!("{{{}:{}}}", edge(0)?, edge(4)?));
            }
        }
        6 | 7 | 11..=13 => push(text, format_args!(" {}", u32_at(value, 0)?)),
        8 => push(text, format_args!(" val {} ecr {}", u32_at(value, 0)?, u32_at(value, 4)?)),
        19 => {
            text.push_str(" shared secret not supplied with -M, can't check - ");
            hex::digits(text, value.get(..16)?);
        }
        28 => {
            // The lowest bit selects minutes (RFC 5482).
            let word = u16_at(value, 0)?;
            let seconds = u32::from(word >> 1) * if word & 1 == 1 { 60 } else { 1 };
            push(text, format_args!(" 0x{word:x} {seconds}"));
        }
        29 => {
            push(text, format_args!(" keyid {} rnextkeyid {} mac 0x", value.first()?, value.get(1)?));
            hex::digits(text, value.get(2..)?);
        }
        34 => fast_open(text, "", value),
        254 if value.starts_with(&[0xf9, 0x89]) => fast_open(text, "-tfo", &value[2..]),
        _ if value.is_empty() => {}
        _ => {
            text.push_str(" 0x");
            hex::digits(text, value);
        }
    }
    Some(())
}

fn fast_open(text: &mut String, experimental: &str, cookie: &[u8]) {
    text.push_str(if experimental.is_empty() { " " } else { experimental });
    if cookie.is_empty() {
        return text.push_str(" cookiereq");
    }
    text.push_str(" cookie ");
    hex::digits(text, cookie);
}
