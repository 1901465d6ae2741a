//! DNS queries and responses.

mod words;

use self::words::{kind_name, response_code};
use super::time::duration;
use super::{hex, push};
use crate::dissect::{ipv4, ipv6, u16_at, u32_at};

/// Appends a message of `length` bytes, captured or not.
pub(super) fn print(text: &mut String, data: &[u8], length: usize, is_mdns: bool, verbose: u8) {
    const HEADER: usize = 12;
    if length < HEADER {
        return push(text, format_args!("domain [length {length} < {HEADER}] (invalid)"));
    }
    let mut reader = Reader { text, data, at: HEADER, is_mdns, verbose };
    if reader.message().is_none() {
        text.push_str(" [|domain]");
    } else {
        push(text, format_args!(" ({length})"));
    }
}

/// Appends a message with its length prefix; `length` is the size of both, captured or not.
pub(super) fn over_tcp(text: &mut String, data: &[u8], length: usize, verbose: u8) {
    const PREFIX: usize = 2;
    if length < PREFIX {
        return push(text, format_args!(" [DNS over TCP: length {length} < {PREFIX}] (invalid)"));
    }
    let Some(stated) = u16_at(data, 0) else { return text.push_str(" [|domain]") };
    let (stated, length) = (usize::from(stated), length - PREFIX);
    if stated != length {
        return push(text, format_args!(" [prefix length({stated}) != length({length})] (invalid)"));
    }
    text.push(' ');
    print(text, &data[PREFIX..], length, false, verbose);
}

struct Reader<'a> {
    text: &'a mut String,
    data: &'a [u8],
    at: usize,
    is_mdns: bool,
    verbose: u8,
}

impl Reader<'_> {
    fn message(&mut self) -> Option<()> {
        const OPERATIONS: [&str; 16] = [
            "",
            " inv_q",
            " stat",
            " op3",
            " notify",
            " update",
            " op6",
            " op7",
            " op8",
            " updateA",
            " updateD",
            " updateDA",
            " updateM",
            " updateMA",
            " zoneInit",
            " zoneRef",
        ];
        let count = |at| u16_at(self.data, at);
        let (id, flags) = (count(0)?, count(2)?);
        let (questions, answers, servers, more) = (count(4)?, count(6)?, count(8)?, count(10)?);
        let operation = usize::from(flags >> 11 & 0xf);
        push(self.text, format_args!("{id}{}", OPERATIONS[operation]));
        if flags & 0x8000 == 0 {
            self.text.push_str(if flags & 0x0100 != 0 { "+" } else { "" });
            self.text.push_str(if flags & 0x0010 != 0 { "%" } else { "" });
            if flags & 0x06cf != 0 {
                push(self.text, format_args!(" [b2&3=0x{flags:x}]"));
            }
            // An inverse query (RFC 1035, section 6.4) has one answer and asks for the question.
            let usual = if operation == 1 {
                [(questions, "q", 0), (answers, "a", 1)]
            } else {
                [(answers, "a", 0), (questions, "q", 1)]
            };
            for (count, unit, usual) in usual.into_iter().chain([(servers, "n", 0), (more, "au", 0)]) {
                if count != usual {
                    push(self.text, format_args!(" [{count}{unit}]"));
                }
            }
            for _ in 0..questions {
                self.question(true)?;
            }
            return self.sections(&[(answers, ""), (servers, " ns:"), (more, " ar:")]);
        }
        self.text.push_str(&response_code(flags & 0xf));
        for (bit, is_set, mark) in
            [(0x0400, true, "*"), (0x0080, false, "-"), (0x0200, true, "|"), (0x0020, true, "$")]
        {
            if (flags & bit != 0) == is_set {
                self.text.push_str(mark);
            }
        }
        if questions != 1 {
            push(self.text, format_args!(" [{questions}q]"));
        }
        for place in 0..questions {
            let shown = self.verbose > 1;
            if shown {
                self.text.push_str(if place == 0 { " q:" } else { "," });
            }
            self.question(shown)?;
        }
        push(self.text, format_args!(" {answers}/{servers}/{more}"));
        self.records(answers)?;
        self.sections(&[(servers, " ns:"), (more, " ar:")])
    }

    /// With `-vv`, appends the authority and additional sections.
    fn sections(&mut self, sections: &[(u16, &str)]) -> Option<()> {
        for (count, heading) in sections {
            if *count == 0 || self.verbose < 2 {
                continue;
            }
            self.text.push_str(heading);
            self.records(*count)?;
        }
        Some(())
    }

    fn question(&mut self, shown: bool) -> Option<()> {
        let mut name = String::new();
        self.name(&mut name)?;
        let (kind, class) = (u16_at(self.data, self.at)?, u16_at(self.data, self.at + 2)?);
        self.at += 4;
        if shown {
            push(self.text, format_args!(" {}", kind_name(kind)));
            if self.is_mdns {
                self.text.push_str(if class & 0x8000 != 0 { " (QU)" } else { " (QM)" });
            }
            self.class(if self.is_mdns { class & 0x7fff } else { class });
            push(self.text, format_args!("? {name}"));
        }
        Some(())
    }

    fn records(&mut self, count: u16) -> Option<()> {
        for place in 0..count {
            if place > 0 {
                self.text.push(',');
            }
            self.record()?;
        }
        Some(())
    }

    fn record(&mut self) -> Option<()> {
        let mut name = String::new();
        self.name(&mut name)?;
        if self.verbose > 0 {
            push(self.text, format_args!(" {name}"));
        }
        let (kind, class) = (u16_at(self.data, self.at)?, u16_at(self.data, self.at + 2)?);
        let ttl = u32_at(self.data, self.at + 4)?;
        let length = usize::from(u16_at(self.data, self.at + 8)?);
        self.at += 10;
        let end = self.at + length;
        if self.is_mdns && class & 0x8000 != 0 && kind != OPT {
            self.text.push_str(" (Cache flush)");
        }
        if kind != OPT {
            self.class(if self.is_mdns { class & 0x7fff } else { class });
            if self.verbose > 2 {
                push(self.text, format_args!(" [{}]", duration(ttl)));
            }
        }
        push(self.text, format_args!(" {}", kind_name(kind)));
        if end > self.data.len() {
            return None;
        }
        self.content(kind, class, length)?;
        self.at = end;
        Some(())
    }

    fn content(&mut self, kind: u16, class: u16, length: usize) -> Option<()> {
        match kind {
            1 if length == 4 => push(self.text, format_args!(" {}", ipv4(self.data, self.at)?)),
            28 if length == 16 => push(self.text, format_args!(" {}", ipv6(self.data, self.at)?)),
            2 | 5 | 12 | 39 => self.append_name(0)?,
            // A SOA record is printed in full only with `-v`.
            6 if self.verbose == 0 => {}
            6 => {
                self.append_name(0)?;
                self.append_name(0)?;
                for place in 0..5 {
                    push(self.text, format_args!(" {}", u32_at(self.data, self.at + place * 4)?));
                }
            }
            15 => {
                let preference = u16_at(self.data, self.at)?;
                self.append_name(2)?;
                push(self.text, format_args!(" {preference}"));
            }
            16 => {
                let end = self.at + length;
                while self.at < end {
                    let size = usize::from(*self.data.get(self.at)?);
                    let words = self.data.get(self.at + 1..self.at + 1 + size)?;
                    self.text.push_str(" \"");
                    hex::safe(self.text, words);
                    self.text.push('"');
                    self.at += 1 + size;
                }
            }
            33 => {
                let word = |at| u16_at(self.data, self.at + at);
                let (priority, weight, port) = (word(0)?, word(2)?, word(4)?);
                self.append_name(6)?;
                push(self.text, format_args!(":{port} {priority} {weight}"));
            }
            OPT => {
                push(self.text, format_args!(" UDPsize={class}"));
                // The extended flags of OPT are in the TTL field (RFC 6891).
                let wants_signatures = u16_at(self.data, self.at - 4)? & 0x8000 != 0;
                self.text.push_str(if wants_signatures { " DO" } else { "" });
            }
            _ => {}
        }
        Some(())
    }

    fn append_name(&mut self, offset: usize) -> Option<()> {
        self.at += offset;
        let mut name = String::new();
        self.name(&mut name)?;
        push(self.text, format_args!(" {name}"));
        Some(())
    }

    fn class(&mut self, class: u16) {
        match class {
            1 => {}
            3 => self.text.push_str(" CHAOS"),
            4 => self.text.push_str(" HS"),
            255 => self.text.push_str(" ANY"),
            other => push(self.text, format_args!(" (Class {other})")),
        }
    }

    /// Reads a name and moves past it. The number of compression pointers is limited.
    fn name(&mut self, name: &mut String) -> Option<()> {
        const MOST_POINTERS: u8 = 64;
        let mut at = self.at;
        let mut pointers = 0;
        loop {
            let length = *self.data.get(at)?;
            match length >> 6 {
                0 if length == 0 => {
                    if pointers == 0 {
                        self.at = at + 1;
                    }
                    if name.is_empty() {
                        name.push('.');
                    }
                    return Some(());
                }
                0 => {
                    hex::safe(name, self.data.get(at + 1..at + 1 + usize::from(length))?);
                    name.push('.');
                    at += 1 + usize::from(length);
                }
                3 => {
                    if pointers == 0 {
                        self.at = at + 2;
                    }
                    pointers += 1;
                    if pointers > MOST_POINTERS || name.len() > 1024 {
                        return None;
                    }
                    at = usize::from(u16_at(self.data, at)? & 0x3fff);
                }
                _ => return None,
            }
        }
    }
}

const OPT: u16 = 41;
