//! pcapng: interfaces, directions, processes and losses beside the packets.
//!
//! A process is told in full, as a comment of `Key: value` lines, in its first packet of a file only. Every packet has
//! its number: with the thread's in option 8 of the format if that is known, and else as such a comment.

use std::collections::HashMap;
use std::sync::Arc;

use crate::format::{
    BYTE_ORDER, ENHANCED_PACKET, EPB_DROPCOUNT, EPB_FLAGS, EPB_PROCESS, FLAG_CHECKSUM_NOT_READY,
    FLAG_CHECKSUM_VALID, FLAG_IN, FLAG_OUT, IF_DESCRIPTION, IF_FILTER, IF_NAME, IF_TSRESOL,
    INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, ISB_ENDTIME, ISB_FILTERACCEPT, ISB_IFRECV, ISB_OSDROP,
    ISB_STARTTIME, ISB_USRDELIV, OPT_COMMENT, OPT_END, SECTION_HEADER, SHB_APPLICATION, SHB_HARDWARE, SHB_OS,
};
use crate::{Checksum, Direction, Interface, Ledger, Missed, Packet, Process};

/// One section, from its header on.
#[derive(Debug, Default)]
pub struct Section {
    /// How many interfaces were described.
    described: usize,
    /// The processes that were told, and how they were; and the last one once more, who mostly is the next, too.
    told: HashMap<u32, Arc<Process>>,
    last: Option<Arc<Process>>,
    /// Options of the present packet that are text.
    comments: Vec<u8>,
    /// Packets of each interface.
    delivered: Vec<u64>,
    begun_ns: Option<u64>,
    ended_ns: u64,
}

/// What a packet begins with.
const HEAD: usize = 28;

impl Section {
    pub fn begin(out: &mut Vec<u8>, system: &str) -> Self {
        block(out, SECTION_HEADER, |out| {
            out.extend(BYTE_ORDER.to_le_bytes());
            out.extend(1_u16.to_le_bytes());
            out.extend(0_u16.to_le_bytes());
            // The length of the section is not known.
            out.extend(u64::MAX.to_le_bytes());
            option(out, SHB_HARDWARE, std::env::consts::ARCH.as_bytes());
            option(out, SHB_OS, system.as_bytes());
            option(out, SHB_APPLICATION, concat!("net-traffic ", env!("CARGO_PKG_VERSION")).as_bytes());
            end(out);
        });
        Self::default()
    }

    /// Describes the interfaces that were not yet.
    pub fn interfaces(&mut self, out: &mut Vec<u8>, interfaces: &[Interface]) {
        for interface in interfaces.iter().skip(self.described) {
            block(out, INTERFACE_DESCRIPTION, |out| {
                out.extend(interface.link.0.to_le_bytes());
                out.extend(0_u16.to_le_bytes());
                out.extend(interface.snaplen.to_le_bytes());
                if let Some(name) = &interface.name {
                    option(out, IF_NAME, name.as_bytes());
                }
                if let Some(description) = &interface.description {
                    option(out, IF_DESCRIPTION, description.as_bytes());
                }
                option(out, IF_TSRESOL, &[9]);
                if let Some(filter) = &interface.filter {
                    // 0: an expression.
                    option(out, IF_FILTER, &[&[0], filter.as_bytes()].concat());
                }
                end(out);
            });
            self.described += 1;
            self.delivered.push(0);
        }
    }

    pub fn packet(&mut self, out: &mut Vec<u8>, interfaces: &[Interface], packet: &Packet<'_>) {
        if self.described < interfaces.len() {
            self.interfaces(out, interfaces);
        }
        if let Some(count) = self.delivered.get_mut(packet.interface) {
            *count += 1;
        }
        self.begun_ns.get_or_insert(packet.time_ns);
        self.ended_ns = packet.time_ns;
        self.comments.clear();
        self.comment(packet);
        let mut tail = Tail::of(packet, !self.comments.is_empty());
        // Packets are many: the length is found before, so that all of it goes out in few pieces.
        let padded = packet.data.len().next_multiple_of(4);
        let length = HEAD + padded + self.comments.len() + tail.octets().len() + 4;
        let length = u32::try_from(length).unwrap_or(0);
        tail.push([length]);
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&ENHANCED_PACKET.to_le_bytes());
        head[4..8].copy_from_slice(&length.to_le_bytes());
        head[8..12].copy_from_slice(&u32::try_from(packet.interface).unwrap_or(0).to_le_bytes());
        head[12..20].copy_from_slice(&time_words(packet.time_ns));
        head[20..24].copy_from_slice(&u32::try_from(packet.data.len()).unwrap_or(0).to_le_bytes());
        head[24..].copy_from_slice(&packet.length.to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(packet.data);
        if padded > packet.data.len() {
            pad(out, packet.data.len());
        }
        if !self.comments.is_empty() {
            out.extend_from_slice(&self.comments);
        }
        out.extend_from_slice(tail.octets());
    }

    /// What is told of the packet in words.
    fn comment(&mut self, packet: &Packet<'_>) {
        if let Some(process) = packet.process {
            self.process(process);
        }
        if let Some(segments) = packet.segments {
            let text = format!("Segments: {} of at most {} octets", segments.count, segments.size);
            option(&mut self.comments, OPT_COMMENT, text.as_bytes());
        }
    }

    /// All that there is to tell of a process, if it was not told yet; else its number, where option 8 has no place
    /// for it.
    fn process(&mut self, process: &Arc<Process>) {
        let is_last = self.last.as_ref() == Some(process);
        let is_told = is_last || self.told.get(&process.pid) == Some(process);
        if !is_told {
            option(&mut self.comments, OPT_COMMENT, comment(process).as_bytes());
            self.told.insert(process.pid, Arc::clone(process));
        } else if process.thread.is_none() {
            option(&mut self.comments, OPT_COMMENT, format!("PID: {}", process.pid).as_bytes());
        }
        if !is_last {
            self.last = Some(Arc::clone(process));
        }
    }

    /// What is known of the whole capture, by interface. The causes of all losses stand with the first, and so does what
    /// is of no known interface.
    pub fn statistics(&self, out: &mut Vec<u8>, interfaces: &[Interface], ledger: &Ledger, now_ns: u64) {
        let known =
            |of: fn(Missed) -> u64| interfaces.iter().map(|interface| of(interface.missed)).sum::<u64>();
        let unplaced = Missed {
            lost: ledger.dropped().saturating_sub(known(|missed| missed.lost)),
            left_over: ledger.left_over.saturating_sub(known(|missed| missed.left_over)),
        };
        for (place, delivered) in self.delivered.iter().enumerate() {
            let Missed { mut lost, mut left_over } =
                interfaces.get(place).map(|interface| interface.missed).unwrap_or_default();
            if place == 0 {
                lost += unplaced.lost;
                left_over += unplaced.left_over;
            }
            let accepted = delivered + lost + left_over;
            block(out, INTERFACE_STATISTICS, |out| {
                out.extend(u32::try_from(place).unwrap_or(0).to_le_bytes());
                time(out, now_ns);
                let begun = self.begun_ns.unwrap_or(now_ns);
                option(out, ISB_STARTTIME, &time_words(begun));
                option(out, ISB_ENDTIME, &time_words(self.ended_ns.max(begun)));
                // What the filter refused is not counted: it costs nothing that way.
                option(out, ISB_IFRECV, &accepted.to_le_bytes());
                option(out, ISB_FILTERACCEPT, &accepted.to_le_bytes());
                option(out, ISB_OSDROP, &lost.to_le_bytes());
                option(out, ISB_USRDELIV, &delivered.to_le_bytes());
                if place == 0 && ledger.dropped() > 0 {
                    let causes: Vec<String> =
                        ledger.causes().iter().map(|(cause, count)| format!("{cause}: {count}")).collect();
                    option(out, OPT_COMMENT, causes.join("\n").as_bytes());
                }
                end(out);
            });
        }
    }
}

/// What a packet's block ends with, all of it words: the options that are numbers, and its length.
#[derive(Default)]
struct Tail {
    words: [[u8; 4]; Self::MOST],
    count: usize,
}

impl Tail {
    const MOST: usize = 10;

    /// `comments`: options stand before.
    fn of(packet: &Packet<'_>, comments: bool) -> Self {
        let mut it = Self::default();
        if packet.lost_before > 0 {
            let half = |octets: u64| u32::try_from(octets & 0xffff_ffff).unwrap_or(0);
            let (low, high) = (half(packet.lost_before), half(packet.lost_before >> 32));
            it.push([option_head(EPB_DROPCOUNT, 8), low, high]);
        }
        if let Some(flags) = flags(packet) {
            it.push([option_head(EPB_FLAGS, 4), flags]);
        }
        if let Some((pid, thread)) = packet.process.and_then(|process| Some((process.pid, process.thread?))) {
            it.push([option_head(EPB_PROCESS, 8), pid, thread]);
        }
        if comments || it.count > 0 {
            it.push([OPT_END.into()]);
        }
        it
    }

    fn push<const WORDS: usize>(&mut self, words: [u32; WORDS]) {
        for (place, word) in self.words.iter_mut().skip(self.count).zip(words) {
            *place = word.to_le_bytes();
        }
        self.count += WORDS;
    }

    fn octets(&self) -> &[u8] {
        self.words.get(..self.count).unwrap_or(&[]).as_flattened()
    }
}

/// What is known beside the octets, in one word.
fn flags(packet: &Packet<'_>) -> Option<u32> {
    let direction = packet.direction.map(|direction| match direction {
        Direction::In => FLAG_IN,
        Direction::Out => FLAG_OUT,
    });
    let checksum = packet.checksum.map(|checksum| match checksum {
        Checksum::NotReady => FLAG_CHECKSUM_NOT_READY,
        Checksum::Valid => FLAG_CHECKSUM_VALID,
    });
    match (direction, checksum) {
        (None, None) => None,
        (direction, checksum) => Some(direction.unwrap_or(0) | checksum.unwrap_or(0)),
    }
}

/// As ptcpdump writes it, so that its users find what they look for.
fn comment(process: &Process) -> String {
    let mut text = format!("PID: {}\nCmd: {}", process.pid, process.name);
    if let Some(command) = &process.command {
        text.push_str("\nArgs: ");
        text.extend(command.chars().map(|c| if c.is_control() { ' ' } else { c }));
    }
    if let Some(container) = &process.container {
        if let Some(name) = &container.name {
            text.push_str("\nContainerName: ");
            text.push_str(name);
        }
        text.push_str("\nContainerId: ");
        text.push_str(&container.id);
    }
    // An option holds no more than a 16-bit length can say.
    let mut limit = text.len().min(8192);
    while !text.is_char_boundary(limit) {
        limit -= 1;
    }
    text.truncate(limit);
    text
}

/// A block around what `body` writes, with its length at both ends.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = u32::try_from(out.len() + 4 - begin).unwrap_or(0).to_le_bytes();
    out.extend_from_slice(&length);
    if let Some(place) = out.get_mut(begin + 4..begin + 8) {
        place.copy_from_slice(&length);
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = &value[..length.into()];
    extend(out, [option_head(code, length)]);
    out.extend_from_slice(value);
    pad(out, value.len());
}

fn option_head(code: u16, length: u16) -> u32 {
    u32::from(code) | u32::from(length) << 16
}

fn extend<const WORDS: usize>(out: &mut Vec<u8>, words: [u32; WORDS]) {
    out.extend_from_slice(words.map(u32::to_le_bytes).as_flattened());
}

fn end(out: &mut Vec<u8>) {
    extend(out, [OPT_END.into()]);
}

fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend_from_slice(&[0; 3][..length.next_multiple_of(4) - length]);
}

fn time(out: &mut Vec<u8>, time_ns: u64) {
    out.extend(time_words(time_ns));
}

/// The upper half first.
fn time_words(time_ns: u64) -> [u8; 8] {
    time_ns.rotate_left(32).to_le_bytes()
}
