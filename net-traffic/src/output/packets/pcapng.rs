//! pcapng: interfaces, directions, processes and losses beside the packets.
//!
//! A process is named by its number in every packet (option 8 of the format), and told in full, as a comment of
//! `Key: value` lines, in its first packet of a file only.

use std::collections::HashMap;

use crate::packet::format::{
    BYTE_ORDER, ENHANCED_PACKET, EPB_DROPCOUNT, EPB_FLAGS, EPB_PROCESS, FLAG_IN, FLAG_OUT, IF_FILTER,
    IF_NAME, IF_TSRESOL, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, ISB_ENDTIME, ISB_FILTERACCEPT,
    ISB_IFRECV, ISB_OSDROP, ISB_STARTTIME, ISB_USRDELIV, OPT_COMMENT, OPT_END, SECTION_HEADER,
    SHB_APPLICATION, SHB_HARDWARE, SHB_OS,
};
use crate::packet::{Direction, Interface, Ledger, Packet, Process};

/// One section, from its header on.
#[derive(Debug, Default)]
pub(super) struct Section {
    /// How many interfaces were described.
    described: usize,
    /// The processes that were told, and how they were.
    told: HashMap<u32, Process>,
    /// Packets of each interface.
    delivered: Vec<u64>,
    begun_ns: Option<u64>,
    ended_ns: u64,
}

impl Section {
    pub(super) fn begin(out: &mut Vec<u8>, system: &str) -> Self {
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
    pub(super) fn interfaces(&mut self, out: &mut Vec<u8>, interfaces: &[Interface]) {
        for interface in interfaces.iter().skip(self.described) {
            block(out, INTERFACE_DESCRIPTION, |out| {
                out.extend(interface.link.0.to_le_bytes());
                out.extend(0_u16.to_le_bytes());
                out.extend(interface.snaplen.to_le_bytes());
                if let Some(name) = &interface.name {
                    option(out, IF_NAME, name.as_bytes());
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

    pub(super) fn packet(&mut self, out: &mut Vec<u8>, interfaces: &[Interface], packet: &Packet<'_>) {
        self.interfaces(out, interfaces);
        if let Some(count) = self.delivered.get_mut(packet.interface) {
            *count += 1;
        }
        self.begun_ns.get_or_insert(packet.time_ns);
        self.ended_ns = packet.time_ns;
        block(out, ENHANCED_PACKET, |out| {
            out.extend(u32::try_from(packet.interface).unwrap_or(0).to_le_bytes());
            time(out, packet.time_ns);
            out.extend(u32::try_from(packet.data.len()).unwrap_or(0).to_le_bytes());
            out.extend(packet.length.to_le_bytes());
            out.extend(packet.data);
            pad(out, packet.data.len());
            self.packet_options(out, packet);
        });
    }

    fn packet_options(&mut self, out: &mut Vec<u8>, packet: &Packet<'_>) {
        let before = out.len();
        if let Some(process) = packet.process
            && self.told.get(&process.pid) != Some(process)
        {
            option(out, OPT_COMMENT, comment(process).as_bytes());
            self.told.insert(process.pid, process.clone());
        }
        if let Some(segments) = packet.segments {
            let text = format!("Segments: {} of at most {} octets", segments.count, segments.size);
            option(out, OPT_COMMENT, text.as_bytes());
        }
        if let Some(direction) = packet.direction {
            let flag = match direction {
                Direction::In => FLAG_IN,
                Direction::Out => FLAG_OUT,
            };
            option(out, EPB_FLAGS, &flag.to_le_bytes());
        }
        if packet.lost_before > 0 {
            option(out, EPB_DROPCOUNT, &packet.lost_before.to_le_bytes());
        }
        if let Some(process) = packet.process {
            // The thread is not known.
            option(out, EPB_PROCESS, &[process.pid.to_le_bytes(), [0; 4]].concat());
        }
        if out.len() > before {
            end(out);
        }
    }

    /// What is known of the whole capture. Losses are not known by interface: they stand with the first.
    pub(super) fn statistics(&self, out: &mut Vec<u8>, ledger: &Ledger, now_ns: u64) {
        let total: u64 = self.delivered.iter().sum();
        for (place, delivered) in self.delivered.iter().enumerate() {
            let lost = if place == 0 { ledger.dropped() } else { 0 };
            let beyond = if place == 0 { ledger.received.saturating_sub(total + lost) } else { 0 };
            block(out, INTERFACE_STATISTICS, |out| {
                out.extend(u32::try_from(place).unwrap_or(0).to_le_bytes());
                time(out, now_ns);
                let begun = self.begun_ns.unwrap_or(now_ns);
                option(out, ISB_STARTTIME, &time_words(begun));
                option(out, ISB_ENDTIME, &time_words(self.ended_ns.max(begun)));
                // What the filter refused is not counted: it costs nothing that way.
                option(out, ISB_IFRECV, &(delivered + lost + beyond).to_le_bytes());
                option(out, ISB_FILTERACCEPT, &(delivered + lost + beyond).to_le_bytes());
                option(out, ISB_OSDROP, &lost.to_le_bytes());
                option(out, ISB_USRDELIV, &delivered.to_le_bytes());
                if place == 0 && lost > 0 {
                    let causes: Vec<String> =
                        ledger.causes().iter().map(|(cause, count)| format!("{cause}: {count}")).collect();
                    option(out, OPT_COMMENT, causes.join("\n").as_bytes());
                }
                end(out);
            });
        }
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

/// A block around what `body` writes.
fn block(out: &mut Vec<u8>, kind: u32, body: impl FnOnce(&mut Vec<u8>)) {
    let begin = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    body(out);
    let length = u32::try_from(out.len() + 4 - begin).unwrap_or(0).to_le_bytes();
    out.extend(length);
    if let Some(place) = out.get_mut(begin + 4..begin + 8) {
        place.copy_from_slice(&length);
    }
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    let value = &value[..length.into()];
    out.extend(code.to_le_bytes());
    out.extend(length.to_le_bytes());
    out.extend(value);
    pad(out, value.len());
}

fn end(out: &mut Vec<u8>) {
    out.extend(OPT_END.to_le_bytes());
    out.extend(0_u16.to_le_bytes());
}

fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend(&[0; 3][..length.next_multiple_of(4) - length]);
}

fn time(out: &mut Vec<u8>, time_ns: u64) {
    out.extend(time_words(time_ns));
}

/// The upper half first.
fn time_words(time_ns: u64) -> [u8; 8] {
    time_ns.rotate_left(32).to_le_bytes()
}
