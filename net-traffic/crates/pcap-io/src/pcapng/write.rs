//! Writes pcapng files.

use std::collections::HashMap;
use std::sync::Arc;

use super::options::{
    FILTER_EXPRESSION, IF_DESCRIPTION, IF_FILTER, IF_NAME, IF_TSRESOL, ISB_ENDTIME, ISB_FILTERACCEPT,
    ISB_IFRECV, ISB_OSDROP, ISB_STARTTIME, ISB_USRDELIV, OPT_COMMENT, SHB_HARDWARE, SHB_OS, SHB_USERAPPL,
    append, append_end, pad,
};
use super::packet_options::{Tail, pid_comment, process_comment, segments_comment};
use super::{BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, SECTION_HEADER};
use crate::{Interface, Missed, Packet, Process};

/// The options of a section's header. All are text for a reader of the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SectionHeader<'a> {
    /// The hardware of the capturing machine.
    pub hardware: &'a str,
    /// The operating system of the capturing machine.
    pub os: &'a str,
    /// The program that writes the file.
    pub application: &'a str,
}

/// Encodes a pcapng file of one section. The bytes are appended to a buffer; the caller writes the buffer to a file.
///
/// The first packet of a process describes the process in full. Each later packet has the PID only: in
/// `epb_processid_threadid` if the thread is known, else in a comment.
#[derive(Debug, Default)]
pub struct PcapNgWriter {
    /// How many interfaces were described.
    described_interfaces: usize,
    /// The processes that were described, by PID.
    described: HashMap<u32, Arc<Process>>,
    /// The process of the previous packet, which most packets share. Saves the look-up.
    last: Option<Arc<Process>>,
    /// The comments of the current packet, encoded. Kept to reuse the memory.
    comments: Vec<u8>,
    /// Packets written, by interface.
    delivered: Vec<u64>,
    /// The time of the first and of the last packet.
    first_ns: Option<u64>,
    last_ns: u64,
}

/// The fixed part of an Enhanced Packet Block.
const PACKET_HEADER: usize = 28;
/// `if_tsresol`: units of 10^-9 seconds.
const NANOSECONDS: u8 = 9;

impl PcapNgWriter {
    /// Appends the section header.
    pub fn new(out: &mut Vec<u8>, header: &SectionHeader<'_>) -> Self {
        const VERSION: (u16, u16) = (1, 0);
        const UNKNOWN_LENGTH: u64 = u64::MAX;
        block(out, SECTION_HEADER, |out| {
            out.extend(BYTE_ORDER_MAGIC.to_le_bytes());
            out.extend(VERSION.0.to_le_bytes());
            out.extend(VERSION.1.to_le_bytes());
            out.extend(UNKNOWN_LENGTH.to_le_bytes());
            append(out, SHB_HARDWARE, header.hardware.as_bytes());
            append(out, SHB_OS, header.os.as_bytes());
            append(out, SHB_USERAPPL, header.application.as_bytes());
            append_end(out);
        });
        Self::default()
    }

    /// Appends a description of each interface that was not described yet. `interfaces` may grow between calls; those
    /// described before must not move.
    pub fn interfaces(&mut self, out: &mut Vec<u8>, interfaces: &[Interface]) {
        for interface in interfaces.iter().skip(self.described_interfaces) {
            block(out, INTERFACE_DESCRIPTION, |out| {
                out.extend(interface.link.0.to_le_bytes());
                out.extend(0_u16.to_le_bytes());
                out.extend(interface.snaplen.to_le_bytes());
                if let Some(name) = &interface.name {
                    append(out, IF_NAME, name.as_bytes());
                }
                if let Some(description) = &interface.description {
                    append(out, IF_DESCRIPTION, description.as_bytes());
                }
                append(out, IF_TSRESOL, &[NANOSECONDS]);
                if let Some(filter) = &interface.filter {
                    append(out, IF_FILTER, &[&[FILTER_EXPRESSION], filter.as_bytes()].concat());
                }
                append_end(out);
            });
            self.described_interfaces += 1;
            self.delivered.push(0);
        }
    }

    /// Appends a packet, after the description of interfaces that were not described yet. `packet.interface` is an index
    /// into `interfaces`.
    pub fn packet(&mut self, out: &mut Vec<u8>, interfaces: &[Interface], packet: &Packet<'_>) {
        if self.described_interfaces < interfaces.len() {
            self.interfaces(out, interfaces);
        }
        if let Some(count) = self.delivered.get_mut(packet.interface) {
            *count += 1;
        }
        self.first_ns.get_or_insert(packet.time_ns);
        self.last_ns = packet.time_ns;
        self.comments.clear();
        self.comment(packet);
        let mut tail = Tail::new(packet, !self.comments.is_empty());
        // The length is computed first, so that the block is appended in few pieces.
        let padded = packet.data.len().next_multiple_of(4);
        let length = PACKET_HEADER + padded + self.comments.len() + tail.bytes().len() + 4;
        let length = u32::try_from(length).unwrap_or(0);
        tail.push([length]);
        let mut head = [0; PACKET_HEADER];
        head[..4].copy_from_slice(&ENHANCED_PACKET.to_le_bytes());
        head[4..8].copy_from_slice(&length.to_le_bytes());
        head[8..12].copy_from_slice(&u32::try_from(packet.interface).unwrap_or(0).to_le_bytes());
        head[12..20].copy_from_slice(&timestamp(packet.time_ns));
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
        out.extend_from_slice(tail.bytes());
    }

    /// Encodes the comments of a packet.
    fn comment(&mut self, packet: &Packet<'_>) {
        if let Some(process) = packet.process {
            self.process(process);
        }
        if let Some(segments) = packet.segments {
            append(&mut self.comments, OPT_COMMENT, segments_comment(segments).as_bytes());
        }
    }

    fn process(&mut self, process: &Arc<Process>) {
        let is_last = self.last.as_ref() == Some(process);
        let is_described = is_last || self.described.get(&process.pid) == Some(process);
        if !is_described {
            append(&mut self.comments, OPT_COMMENT, process_comment(process).as_bytes());
            self.described.insert(process.pid, Arc::clone(process));
        } else if process.thread.is_none() {
            append(&mut self.comments, OPT_COMMENT, pid_comment(process).as_bytes());
        }
        if !is_last {
            self.last = Some(Arc::clone(process));
        }
    }

    /// Appends the statistics of each interface up to now: packets received, accepted by the filter, lost and written.
    ///
    /// `without_interface` holds the losses that are in no interface's [`Missed`], and `comment` is a text on all losses
    /// or empty. Both go to the first interface, because the format has no statistics of a whole section.
    pub fn statistics(
        &self,
        out: &mut Vec<u8>,
        interfaces: &[Interface],
        without_interface: Missed,
        comment: &str,
        now_ns: u64,
    ) {
        let first_ns = self.first_ns.unwrap_or(now_ns);
        for (index, delivered) in self.delivered.iter().enumerate() {
            let Missed { mut lost, mut left_over } =
                interfaces.get(index).map(|interface| interface.missed).unwrap_or_default();
            if index == 0 {
                lost += without_interface.lost;
                left_over += without_interface.left_over;
            }
            let accepted = delivered + lost + left_over;
            block(out, INTERFACE_STATISTICS, |out| {
                out.extend(u32::try_from(index).unwrap_or(0).to_le_bytes());
                out.extend(timestamp(now_ns));
                append(out, ISB_STARTTIME, &timestamp(first_ns));
                append(out, ISB_ENDTIME, &timestamp(self.last_ns.max(first_ns)));
                // Packets that the filter rejects are not counted, so "received" has to be what the filter accepted.
                append(out, ISB_IFRECV, &accepted.to_le_bytes());
                append(out, ISB_FILTERACCEPT, &accepted.to_le_bytes());
                append(out, ISB_OSDROP, &lost.to_le_bytes());
                append(out, ISB_USRDELIV, &delivered.to_le_bytes());
                if index == 0 && !comment.is_empty() {
                    append(out, OPT_COMMENT, comment.as_bytes());
                }
                append_end(out);
            });
        }
    }
}

/// Appends a block: its type, its length, the body that `body` appends, and its length again.
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

/// A timestamp: two words, the upper half first.
fn timestamp(time_ns: u64) -> [u8; 8] {
    time_ns.rotate_left(32).to_le_bytes()
}
