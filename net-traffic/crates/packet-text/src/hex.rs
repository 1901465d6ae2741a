//! Dumps of bytes, below a line and within it.

use super::{Dump, push};

/// Appends the dump that the flags select; `header` is the size of the link layer.
pub(super) fn dump(text: &mut String, dump: Dump, data: &[u8], header: usize) {
    let below = |times: u8| if times > 1 { data } else { data.get(header..).unwrap_or(&[]) };
    if dump.hex > 0 {
        hex(text, below(dump.hex), dump.characters);
    } else if dump.ascii > 0 {
        ascii(text, below(dump.ascii));
    }
}

/// Appends a dump without characters.
pub(super) fn plain(text: &mut String, data: &[u8]) {
    hex(text, data, false);
}

/// Appends a dump with characters.
pub(super) fn characters(text: &mut String, data: &[u8]) {
    hex(text, data, true);
}

fn hex(text: &mut String, data: &[u8], characters: bool) {
    rows(text, "\n\t", data, characters);
}

/// Appends rows of 16 bytes; each begins with `indent`.
pub(super) fn rows(text: &mut String, indent: &str, data: &[u8], characters: bool) {
    for (row, octets) in data.chunks(16).enumerate() {
        push(text, format_args!("{indent}0x{:04x}: ", row * 16));
        let begin = text.len();
        words(text, octets);
        if characters {
            let width = text.len() - begin;
            push(text, format_args!("{:1$}", "", 42 - width));
            text.extend(
                octets.iter().map(|octet| if octet.is_ascii_graphic() { char::from(*octet) } else { '.' }),
            );
        }
    }
}

/// Bytes in pairs, each after a space.
fn words(text: &mut String, octets: &[u8]) {
    for pair in octets.chunks(2) {
        text.push(' ');
        for octet in pair {
            push(text, format_args!("{octet:02x}"));
        }
    }
}

/// Bytes as one hexadecimal word.
pub(super) fn digits(text: &mut String, octets: &[u8]) {
    for octet in octets {
        push(text, format_args!("{octet:02x}"));
    }
}

/// Bytes as characters; control characters are escaped as `^A` and `M-a`.
pub(super) fn safe(text: &mut String, octets: &[u8]) {
    for octet in octets {
        match octet {
            0x20..=0x7e => text.push(char::from(*octet)),
            0x00..=0x1f | 0x7f => push(text, format_args!("^{}", char::from(octet ^ 0x40))),
            _ => {
                text.push_str("M-");
                safe(text, &[octet & 0x7f]);
            }
        }
    }
}

fn ascii(text: &mut String, data: &[u8]) {
    text.push('\n');
    for (place, octet) in data.iter().enumerate() {
        match octet {
            b'\r' if data.get(place + 1) == Some(&b'\n') => {}
            b'\t' | b' ' | b'\n' => text.push(char::from(*octet)),
            octet if octet.is_ascii_graphic() => text.push(char::from(*octet)),
            _ => text.push('.'),
        }
    }
}
