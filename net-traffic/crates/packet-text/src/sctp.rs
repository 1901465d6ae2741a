//! SCTP: the chunks of a packet.

use super::ip::Ip;
use super::{Printer, endpoint, hex, push};
use crate::dissect::{u16_at, u32_at};

const HEADER: usize = 12;
/// The size of a chunk's type, flags and length.
const CHUNK: usize = 4;

impl Printer {
    pub(super) fn sctp(&self, text: &mut String, data: &[u8], ip: &Ip<'_>) -> Option<()> {
        if ip.length < HEADER {
            push(text, format_args!("truncated-sctp - {} bytes missing!", HEADER - ip.length));
            return Some(());
        }
        let (source, destination) = (u16_at(data, 0)?, u16_at(data, 2)?);
        if ip.is_next {
            endpoint(text, ip.source, source);
            text.push_str(" > ");
            endpoint(text, ip.destination, destination);
            text.push_str(": ");
        } else {
            push(text, format_args!("{source} > {destination}: "));
        }
        text.push_str("sctp");
        let mut rest = data.get(HEADER..ip.length.min(data.len()))?;
        let mut left = ip.length - HEADER;
        let mut number = 1;
        while left >= CHUNK {
            let length = usize::from(u16_at(rest, 2)?);
            // A chunk longer than the packet looks like a truncated one.
            let padded = length.next_multiple_of(4);
            if length >= CHUNK && (rest.len() < length || left < length) {
                return None;
            }
            match (self.settings.verbose > 1, number) {
                (true, _) => push(text, format_args!("\n\t{number}) ")),
                (false, 1) => text.push_str(" (1) "),
                (false, _) => push(text, format_args!(", ({number}) ")),
            }
            if length < CHUNK {
                push(text, format_args!("[Bad chunk length {length}, < size of chunk descriptor]"));
                return Some(());
            }
            self.chunk(text, rest.get(..length)?)?;
            rest = rest.get(padded..).unwrap_or(&[]);
            left = left.saturating_sub(padded);
            number += 1;
        }
        // The remaining bytes are too few for a chunk.
        if left > 0 { None } else { Some(()) }
    }

    fn chunk(&self, text: &mut String, chunk: &[u8]) -> Option<()> {
        let (kind, flags, body) = (*chunk.first()?, *chunk.get(1)?, chunk.get(CHUNK..)?);
        match name(kind) {
            Some(name) => push(text, format_args!("[{name}] ")),
            None => push(text, format_args!("[Unknown chunk type: 0x{kind:x}] ")),
        }
        let least = match kind {
            DATA => 12 + 1,
            INIT | INIT_ACK => 16,
            SACK => 12,
            _ => 0,
        };
        if body.len() < least {
            push(text, format_args!("bogus chunk length {}]", chunk.len()));
            return Some(());
        }
        match kind {
            DATA => self.data(text, flags, body),
            INIT | INIT_ACK => {
                push(text, format_args!("[init tag: {}] [rwnd: {}] ", u32_at(body, 0)?, u32_at(body, 4)?));
                push(text, format_args!("[OS: {}] [MIS: {}] ", u16_at(body, 8)?, u16_at(body, 10)?));
                push(text, format_args!("[init TSN: {}] ", u32_at(body, 12)?));
                Some(())
            }
            SACK => selective(text, body),
            _ => Some(()),
        }
    }

    fn data(&self, text: &mut String, flags: u8, body: &[u8]) -> Option<()> {
        let before = text.len();
        for (bit, letter) in [(4, "(U)"), (2, "(B)"), (1, "(E)")] {
            text.push_str(if flags & bit == 0 { "" } else { letter });
        }
        if text.len() > before {
            text.push(' ');
        }
        push(text, format_args!("[TSN: {}] [SID: {}] ", u32_at(body, 0)?, u16_at(body, 4)?));
        let protocol = u32_at(body, 8)?;
        push(text, format_args!("[SSEQ {}] [PPID ", u16_at(body, 6)?));
        match payload_protocol(protocol) {
            Some(name) => text.push_str(name),
            None => push(text, format_args!("0x{protocol:x}")),
        }
        text.push_str("] ");
        if self.settings.verbose > 1 {
            text.push_str("[Payload");
            if self.settings.dump.hex == 0 && !self.settings.quick {
                text.push(':');
                hex::characters(text, &body[12..]);
            }
            text.push(']');
        }
        Some(())
    }
}

/// Appends a selective acknowledgement: gaps and duplicates.
fn selective(text: &mut String, body: &[u8]) -> Option<()> {
    let (acknowledged, window) = (u32_at(body, 0)?, u32_at(body, 4)?);
    let (gaps, doubles) = (u16_at(body, 8)?, u16_at(body, 10)?);
    push(text, format_args!("[cum ack {acknowledged}] [a_rwnd {window}] "));
    push(text, format_args!("[#gap acks {gaps}] [#dup tsns {doubles}] "));
    let mut words = body[12..].chunks_exact(4);
    for (place, word) in (1..=gaps).zip(words.by_ref()) {
        let edge = |at| u16_at(word, at).map(|offset| acknowledged.wrapping_add(offset.into()));
        push(text, format_args!("\n\t\t[gap ack block #{place}: start = {}, end = {}] ", edge(0)?, edge(2)?));
    }
    for (place, word) in (1..=doubles).zip(words) {
        push(text, format_args!("\n\t\t[dup TSN #{place}: {}] ", u32_at(word, 0)?));
    }
    Some(())
}

const DATA: u8 = 0;
const INIT: u8 = 1;
const INIT_ACK: u8 = 2;
const SACK: u8 = 3;

fn name(kind: u8) -> Option<&'static str> {
    const NAMES: [&str; 15] = [
        "DATA",
        "INIT",
        "INIT ACK",
        "SACK",
        "HB REQ",
        "HB ACK",
        "ABORT",
        "SHUTDOWN",
        "SHUTDOWN ACK",
        "OP ERR",
        "COOKIE ECHO",
        "COOKIE ACK",
        "ECN ECHO",
        "ECN CWR",
        "SHUTDOWN COMPLETE",
    ];
    match kind {
        0xc0 => Some("FOR CUM TSN"),
        0xc1 => Some("REL CTRL"),
        0xc2 => Some("REL CTRL ACK"),
        _ => NAMES.get(usize::from(kind)).copied(),
    }
}

/// The payload protocol identifier (IANA).
fn payload_protocol(number: u32) -> Option<&'static str> {
    Some(match number {
        1 => "ISDN Q.921",
        2 => "M2UA",
        3 => "M3UA",
        4 => "SUA",
        5 => "M2PA",
        6 => "V5.2",
        7 => "H.248",
        8 => "BICC",
        9 => "TALI",
        10 => "DUA",
        11 => "ASAP",
        12 => "ENRP",
        13 => "H.323",
        14 => "Q.IPC",
        15 => "SIMCO",
        16 => "DDPSC",
        17 => "DDPSSC",
        18 => "S1AP",
        19 => "RUA",
        20 => "HNBAP",
        21 => "ForCES HP",
        22 => "ForCES MP",
        23 => "ForCES LP",
        24 => "SBc-AP",
        25 => "NBAP",
        27 => "X2AP",
        _ => return None,
    })
}
