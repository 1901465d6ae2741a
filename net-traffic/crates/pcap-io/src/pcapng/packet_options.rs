//! The metadata of a packet, as options of its block: direction, checksum state, segments, process, and the number of
//! packets lost before it.
//!
//! The process is in a comment of `Key: value` lines, with the keys that ptcpdump uses
//! (<https://github.com/mozillazg/ptcpdump>), and its ids also in `epb_processid_threadid`.

use std::collections::HashMap;
use std::sync::Arc;

use super::options::{
    EPB_DROPCOUNT, EPB_FLAGS, EPB_PROCESSID_THREADID, OPT_COMMENT, OPT_ENDOFOPT, Options, head, text,
};
use crate::endian::Endian;
use crate::{Checksum, Container, Direction, Packet, Process, Segments};

/// Bits of [`EPB_FLAGS`]: the direction.
const FLAG_INBOUND: u32 = 1;
const FLAG_OUTBOUND: u32 = 2;
const FLAG_DIRECTION: u32 = 3;
/// Bits of [`EPB_FLAGS`]: the state of the transport checksum.
const FLAG_CHECKSUM_NOT_READY: u32 = 1 << 9;
const FLAG_CHECKSUM_VALID: u32 = 1 << 10;

/// The longest comment on a process. An option holds at most 65535 bytes, and command lines can be longer.
const MAX_COMMENT: usize = 8192;

/// The decoded options of a packet.
pub(super) struct PacketOptions {
    pub(super) direction: Option<Direction>,
    pub(super) checksum: Option<Checksum>,
    pub(super) segments: Option<Segments>,
    pub(super) pid: Option<u32>,
    pub(super) lost_before: u64,
}

/// Decodes a packet's options, and updates `processes` with what a comment says of the packet's process.
pub(super) fn decode(
    endian: Endian,
    options: &[u8],
    processes: &mut HashMap<u32, Arc<Process>>,
) -> PacketOptions {
    let (mut direction, mut checksum, mut pid, mut lost_before) = (None, None, None, 0);
    let mut comments = Vec::new();
    for (code, value) in Options::new(endian, options) {
        match code {
            EPB_FLAGS => {
                let flags = endian.u32(value, 0).unwrap_or(0);
                direction = match flags & FLAG_DIRECTION {
                    FLAG_INBOUND => Some(Direction::In),
                    FLAG_OUTBOUND => Some(Direction::Out),
                    _ => None,
                };
                checksum = match flags & (FLAG_CHECKSUM_NOT_READY | FLAG_CHECKSUM_VALID) {
                    FLAG_CHECKSUM_NOT_READY => Some(Checksum::NotReady),
                    FLAG_CHECKSUM_VALID => Some(Checksum::Valid),
                    _ => None,
                };
            }
            EPB_PROCESSID_THREADID => pid = endian.u32(value, 0).filter(|pid| *pid != 0),
            EPB_DROPCOUNT => lost_before = endian.u64(value, 0).unwrap_or(0),
            OPT_COMMENT => comments.push(text(value)),
            _ => {}
        }
    }
    let lines = || comments.iter().flat_map(|comment| comment.lines());
    let pid = pid.or_else(|| lines().find_map(|line| line.strip_prefix("PID: ")?.parse().ok()));
    if let Some(pid) = pid {
        let process = processes.entry(pid).or_insert_with(|| Arc::new(Process { pid, ..Process::default() }));
        for (key, value) in lines().filter_map(|line| line.split_once(": ")) {
            update(process, key, value);
        }
    }
    let segments = lines().find_map(|line| parse_segments(line.strip_prefix("Segments: ")?));
    PacketOptions { direction, checksum, segments, pid, lost_before }
}

/// Parses `N of at most M octets`.
fn parse_segments(text: &str) -> Option<Segments> {
    let (count, size) = text.strip_suffix(" octets")?.split_once(" of at most ")?;
    Some(Segments { count: count.parse().ok()?, size: size.parse().ok()? })
}

/// Stores one `Key: value` line of a comment.
fn update(process: &mut Arc<Process>, key: &str, value: &str) {
    let container = || Container { id: String::new(), name: None };
    // `make_mut` copies a process that an earlier packet shares, so other keys must not reach it.
    if !matches!(key, "Cmd" | "Args" | "ContainerName" | "ContainerId") {
        return;
    }
    let process = Arc::make_mut(process);
    match key {
        "Cmd" => value.rsplit('/').next().unwrap_or(value).clone_into(&mut process.name),
        "Args" => process.command = Some(value.to_owned()),
        "ContainerName" => process.container.get_or_insert_with(container).name = Some(value.to_owned()),
        "ContainerId" => value.clone_into(&mut process.container.get_or_insert_with(container).id),
        _ => {}
    }
}

/// The comment that describes a process in full.
pub(super) fn process_comment(process: &Process) -> String {
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
    text.truncate(text.floor_char_boundary(MAX_COMMENT));
    text
}

/// The comment that names a process described before.
pub(super) fn pid_comment(process: &Process) -> String {
    format!("PID: {}", process.pid)
}

pub(super) fn segments_comment(segments: Segments) -> String {
    format!("Segments: {} of at most {} octets", segments.count, segments.size)
}

/// The words at the end of a packet's block: the options of fixed size, and the length of the block.
#[derive(Default)]
pub(super) struct Tail {
    words: [[u8; 4]; Self::CAPACITY],
    count: usize,
}

impl Tail {
    /// `epb_dropcount` 3, `epb_flags` 2, `epb_processid_threadid` 3, `opt_endofopt` 1, the block's length 1.
    const CAPACITY: usize = 10;

    /// `has_comments`: other options precede, so `opt_endofopt` has to follow.
    pub(super) fn new(packet: &Packet<'_>, has_comments: bool) -> Self {
        let mut tail = Self::default();
        if packet.lost_before > 0 {
            let low_half = |number: u64| u32::try_from(number & 0xffff_ffff).unwrap_or(0);
            let (low, high) = (low_half(packet.lost_before), low_half(packet.lost_before >> 32));
            tail.push([head(EPB_DROPCOUNT, 8), low, high]);
        }
        if let Some(flags) = flags(packet) {
            tail.push([head(EPB_FLAGS, 4), flags]);
        }
        if let Some((pid, thread)) = packet.process.and_then(|process| Some((process.pid, process.thread?))) {
            tail.push([head(EPB_PROCESSID_THREADID, 8), pid, thread]);
        }
        if has_comments || tail.count > 0 {
            tail.push([OPT_ENDOFOPT.into()]);
        }
        tail
    }

    pub(super) fn push<const WORDS: usize>(&mut self, words: [u32; WORDS]) {
        for (place, word) in self.words.iter_mut().skip(self.count).zip(words) {
            *place = word.to_le_bytes();
        }
        self.count += WORDS;
    }

    pub(super) fn bytes(&self) -> &[u8] {
        self.words.get(..self.count).unwrap_or(&[]).as_flattened()
    }
}

/// The value of `epb_flags`, if a flag is known.
fn flags(packet: &Packet<'_>) -> Option<u32> {
    let direction = packet.direction.map(|direction| match direction {
        Direction::In => FLAG_INBOUND,
        Direction::Out => FLAG_OUTBOUND,
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
