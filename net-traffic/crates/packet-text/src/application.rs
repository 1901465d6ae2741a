//! Protocols of well-known ports, in one line: HTTP and other text protocols, NTP, DHCP, ESP and AH.

use super::{Printer, hex, mac, push};
use crate::dissect::u32_at;

/// A protocol whose messages start with lines of text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Textual {
    name: &'static str,
    /// The first words of a message; an empty list allows any.
    methods: &'static [&'static str],
}

/// The methods of HTTP, `WebDAV` and SSDP.
const HTTP: Textual = Textual {
    name: "HTTP",
    methods: &[
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
        "CONNECT",
        "TRACE",
        "PROPFIND",
        "PROPPATCH",
        "MKCOL",
        "COPY",
        "MOVE",
        "LOCK",
        "UNLOCK",
        "REPORT",
        "SEARCH",
        "NOTIFY",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
    ],
};
const RTSP: Textual = Textual {
    name: "RTSP",
    methods: &[
        "OPTIONS",
        "DESCRIBE",
        "ANNOUNCE",
        "SETUP",
        "PLAY",
        "PAUSE",
        "TEARDOWN",
        "GET_PARAMETER",
        "SET_PARAMETER",
        "REDIRECT",
        "RECORD",
    ],
};
const SMTP: Textual = Textual { name: "SMTP", methods: &[] };
const FTP: Textual = Textual { name: "FTP", methods: &[] };
/// SSH: only its first line is plain text.
const SSH: Textual = Textual { name: "SSH", methods: &[] };

/// The text protocol of one of these ports.
pub(super) fn textual(source: u16, destination: u16) -> Option<Textual> {
    let is = |ports: &[u16]| ports.contains(&source) || ports.contains(&destination);
    if is(&[25, 587]) {
        Some(SMTP)
    } else if is(&[22]) {
        Some(SSH)
    } else if is(&[21]) {
        Some(FTP)
    } else if is(&[80, 8080]) {
        Some(HTTP)
    } else if is(&[554, 8554]) {
        Some(RTSP)
    } else {
        None
    }
}

impl Printer {
    /// Appends the first line, or with `-v` all header lines.
    pub(super) fn textual(&self, text: &mut String, protocol: Textual, data: &[u8], length: usize) {
        if protocol == SSH {
            return ssh_version(text, data);
        }
        let Textual { name, .. } = protocol;
        let verbose = self.settings.verbose > 0;
        push(text, format_args!(": {name}"));
        if !protocol.begins(data) {
            return;
        }
        if verbose {
            push(text, format_args!(", length: {length}"));
        }
        let mut rest = data;
        let mut separator = if verbose { "\n\t" } else { ": " };
        while let Some(line) = TextLine::first(rest) {
            text.push_str(separator);
            text.extend(line.words.iter().copied().map(char::from));
            if !line.is_whole {
                push(text, format_args!(" [|{}]", name.to_lowercase()));
            }
            if !verbose || !line.is_whole {
                return;
            }
            separator = "\n\t";
            rest = &rest[line.length..];
        }
    }

    /// Appends an authentication header (AH); returns its length.
    pub(super) fn authentication_header(&self, text: &mut String, data: &[u8]) -> Option<usize> {
        let words = *data.get(1)?;
        let length = (usize::from(words) + 2) * 4;
        text.push_str("AH(");
        if self.settings.verbose > 0 {
            push(text, format_args!("length={words}({length}-bytes),"));
        }
        let (association, sequence) = (u32_at(data, 4)?, u32_at(data, 8)?);
        push(text, format_args!("spi=0x{association:08x},seq=0x{sequence:x},icv=0x"));
        hex::digits(text, data.get(12..length)?);
        text.push_str("): ");
        Some(length)
    }
}

/// Appends the version line of SSH.
fn ssh_version(text: &mut String, data: &[u8]) {
    if let Some(line) = TextLine::first(data).filter(|line| line.is_whole && line.words.starts_with(b"SSH-"))
    {
        text.push_str(": SSH: ");
        text.extend(line.words.iter().copied().map(char::from));
    }
}

pub(super) fn ntp(text: &mut String, data: &[u8], length: usize) -> Option<()> {
    const MODES: [&str; 8] = [
        "unspecified",
        "symmetric active",
        "symmetric passive",
        "Client",
        "Server",
        "Broadcast",
        "Control Message",
        "Reserved",
    ];
    let first = *data.first()?;
    let mode = MODES[usize::from(first & 7)];
    push(text, format_args!("NTPv{}, {mode}, length {length}", first >> 3 & 7));
    Some(())
}

pub(super) fn dhcp(text: &mut String, data: &[u8], length: usize) -> Option<()> {
    const ADDRESS: usize = 28;
    text.push_str("BOOTP/DHCP, ");
    let (operation, hardware, size) = (*data.first()?, *data.get(1)?, *data.get(2)?);
    match operation {
        1 => text.push_str("Request"),
        2 => text.push_str("Reply"),
        other => push(text, format_args!("unknown (0x{other:02x})")),
    }
    if operation == 1 && hardware == 1 && size == 6 {
        let address = data.get(ADDRESS..ADDRESS + 6)?;
        text.push_str(" from ");
        mac(text, address);
    }
    push(text, format_args!(", length {length}"));
    Some(())
}

/// Appends an ESP header: SPI, sequence number and length.
pub(super) fn esp(text: &mut String, data: &[u8], length: usize) -> Option<()> {
    let (association, sequence) = (u32_at(data, 0)?, u32_at(data, 4)?);
    push(text, format_args!("ESP(spi=0x{association:08x},seq=0x{sequence:x}), length {length}"));
    Some(())
}

impl Textual {
    /// Whether the bytes start a message.
    fn begins(self, data: &[u8]) -> bool {
        let Some(line) = TextLine::first(data) else { return false };
        if self.methods.is_empty() {
            return true;
        }
        let mut words =
            line.words.split(|octet| matches!(octet, b' ' | b'\t')).filter(|word| !word.is_empty());
        let (first, second) = (words.next().unwrap_or(&[]), words.next().unwrap_or(&[]));
        let is_status = second.len() == 3 && second.iter().all(u8::is_ascii_digit);
        is_status || self.methods.iter().any(|method| first.eq_ignore_ascii_case(method.as_bytes()))
    }
}

struct TextLine<'a> {
    words: &'a [u8],
    /// The line with its terminator.
    length: usize,
    /// Whether the terminator is captured.
    is_whole: bool,
}

impl<'a> TextLine<'a> {
    /// `None` at the end of the data, and for binary data.
    fn first(data: &'a [u8]) -> Option<Self> {
        if data.is_empty() {
            return None;
        }
        let end = data.iter().position(|octet| *octet == b'\n');
        let (words, length) = match end {
            Some(end) => (data[..end].strip_suffix(b"\r").unwrap_or(&data[..end]), end + 1),
            None => (data, data.len()),
        };
        let is_text = words.iter().all(|octet| matches!(octet, b'\t' | 0x20..0x7f));
        is_text.then_some(Self { words, length, is_whole: end.is_some() })
    }
}
