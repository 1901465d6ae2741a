//! Reads pcapng files: sections of either byte order, interfaces with their own clocks, and processes of packets.

use std::collections::HashMap;
use std::sync::Arc;

use super::options::{
    FILTER_EXPRESSION, IF_DESCRIPTION, IF_FILTER, IF_NAME, IF_TSOFFSET, IF_TSRESOL, Options, text,
};
use super::packet_options::{self, PacketOptions};
use super::{
    BYTE_ORDER_MAGIC, ENHANCED_PACKET, INTERFACE_DESCRIPTION, OBSOLETE_PACKET, SECTION_HEADER, SIMPLE_PACKET,
};
use crate::endian::Endian;
use crate::input::{Input, MAX_RECORD};
use crate::{Interface, LinkType, Packet, Process, ReadError};

pub(crate) struct PcapNgReader {
    endian: Endian,
    /// The interfaces of all sections.
    interfaces: Vec<Interface>,
    /// The clock of each interface.
    clocks: Vec<Clock>,
    /// The index of this section's first interface.
    section_start: usize,
    /// By PID. A file describes a process once and refers to it by PID from then on.
    processes: HashMap<u32, Arc<Process>>,
}

/// The meaning of an interface's timestamps.
#[derive(Clone, Copy)]
struct Clock {
    /// Units per second.
    resolution: u64,
    offset_s: i64,
}

impl Default for Clock {
    /// The format's default: microseconds since 1970.
    fn default() -> Self {
        Self { resolution: 1_000_000, offset_s: 0 }
    }
}

/// The fixed part of a packet's block.
struct PacketHeader {
    /// The interface's index in the section.
    interface: u32,
    /// In units of the interface's clock.
    time: u64,
    captured: u32,
    length: u32,
    /// Where the packet's bytes begin in the block's body.
    data: usize,
}

const MALFORMED: ReadError = ReadError::Malformed("a block of the file is malformed");

/// The type and the length of a block, before its body.
const BLOCK_HEADER: u32 = 8;
/// A block's length once more, after its body.
const BLOCK_TRAILER: u32 = 4;

impl PcapNgReader {
    /// Reads the header of the first section.
    pub(crate) fn new(input: &mut Input) -> Result<Self, ReadError> {
        let mut reader = Self {
            endian: Endian::Little,
            interfaces: Vec::new(),
            clocks: Vec::new(),
            section_start: 0,
            processes: HashMap::new(),
        };
        let header = input.lend(BLOCK_HEADER as usize)?;
        let length = header.last_chunk().copied().unwrap_or_default();
        reader.section(input, length)?;
        Ok(reader)
    }

    pub(crate) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Reads blocks up to the next packet.
    pub(crate) fn next_packet<'a>(
        &'a mut self,
        input: &'a mut Input,
    ) -> Result<Option<(&'a [Interface], Packet<'a>)>, ReadError> {
        let (kind, length) = loop {
            let Some(header) = input.lend_or_end(BLOCK_HEADER as usize)? else { return Ok(None) };
            let kind = self.endian.u32(header, 0).unwrap_or(0);
            let length = self.endian.u32(header, 4).unwrap_or(0);
            match kind {
                SECTION_HEADER => {
                    // The byte order of this length is that of the new section.
                    let length = header.last_chunk().copied().unwrap_or_default();
                    self.section(input, length)?;
                }
                ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET => break (kind, length),
                INTERFACE_DESCRIPTION => self.interface(body(self.endian, input, length, BLOCK_HEADER)?)?,
                _ => drop(body(self.endian, input, length, BLOCK_HEADER)?),
            }
        };
        let body = body(self.endian, input, length, BLOCK_HEADER)?;
        let header = match kind {
            ENHANCED_PACKET => self.enhanced(body)?,
            SIMPLE_PACKET => self.simple(body)?,
            _ => self.obsolete(body)?,
        };
        self.packet(&header, body).map(Some)
    }

    /// Reads a section header from its second word on.
    fn section(&mut self, input: &mut Input, length: [u8; 4]) -> Result<(), ReadError> {
        let order = input.lend(4)?.first_chunk().copied().unwrap_or_default();
        self.endian = match u32::from_le_bytes(order) {
            BYTE_ORDER_MAGIC => Endian::Little,
            other if other.swap_bytes() == BYTE_ORDER_MAGIC => Endian::Big,
            _ => return Err(MALFORMED),
        };
        self.section_start = self.interfaces.len();
        let length = self.endian.u32(&length, 0).unwrap_or(0);
        body(self.endian, input, length, BLOCK_HEADER + 4)?;
        Ok(())
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), ReadError> {
        let endian = self.endian;
        let link = LinkType(endian.u16(body, 0).ok_or(MALFORMED)?);
        let snaplen = endian.u32(body, 4).ok_or(MALFORMED)?;
        let mut interface = Interface { link, snaplen, ..Interface::default() };
        let mut clock = Clock::default();
        for (code, value) in Options::new(endian, body.get(8..).unwrap_or(&[])) {
            match code {
                IF_NAME => interface.name = Some(text(value)),
                IF_DESCRIPTION => interface.description = Some(text(value)),
                IF_FILTER => interface.filter = value.strip_prefix(&[FILTER_EXPRESSION]).map(text),
                IF_TSRESOL => {
                    clock.resolution = value.first().copied().and_then(resolution).ok_or(MALFORMED)?;
                }
                IF_TSOFFSET => clock.offset_s = endian.u64(value, 0).unwrap_or(0).cast_signed(),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        self.clocks.push(clock);
        Ok(())
    }

    fn enhanced(&self, body: &[u8]) -> Result<PacketHeader, ReadError> {
        let word = |at| self.endian.u32(body, at).ok_or(MALFORMED);
        let time = u64::from(word(4)?) << 32 | u64::from(word(8)?);
        Ok(PacketHeader { interface: word(0)?, time, captured: word(12)?, length: word(16)?, data: 20 })
    }

    fn obsolete(&self, body: &[u8]) -> Result<PacketHeader, ReadError> {
        let interface = self.endian.u16(body, 0).ok_or(MALFORMED)?.into();
        Ok(PacketHeader { interface, ..self.enhanced(body)? })
    }

    /// A Simple Packet Block has no time and no interface: it belongs to the section's first.
    fn simple(&self, body: &[u8]) -> Result<PacketHeader, ReadError> {
        let length = self.endian.u32(body, 0).ok_or(MALFORMED)?;
        let snaplen = self.interfaces.get(self.section_start).ok_or(MALFORMED)?.snaplen;
        let limit = if snaplen == 0 { length } else { length.min(snaplen) };
        let captured = limit.min(u32::try_from(body.len().saturating_sub(4)).unwrap_or(0));
        Ok(PacketHeader { interface: 0, time: 0, captured, length, data: 4 })
    }

    fn packet<'a>(
        &'a mut self,
        header: &PacketHeader,
        body: &'a [u8],
    ) -> Result<(&'a [Interface], Packet<'a>), ReadError> {
        let interface = self.section_start.checked_add(header.interface as usize).ok_or(MALFORMED)?;
        let clock = *self.clocks.get(interface).ok_or(MALFORMED)?;
        let end = header.data.checked_add(header.captured as usize).ok_or(MALFORMED)?;
        let data = body.get(header.data..end).ok_or(MALFORMED)?;
        let options = body.get(end.next_multiple_of(4)..).unwrap_or(&[]);
        let PacketOptions { direction, checksum, segments, pid, lost_before } =
            packet_options::decode(self.endian, options, &mut self.processes);
        let packet = Packet {
            time_ns: clock.nanoseconds(header.time),
            interface,
            direction,
            length: header.length.max(header.captured),
            data,
            segments,
            checksum,
            process: pid.and_then(|pid| self.processes.get(&pid)),
            lost_before,
        };
        Ok((&self.interfaces, packet))
    }
}

/// Reads the rest of a block of which `read` bytes were read, and returns it without the length at its end.
fn body(endian: Endian, input: &mut Input, length: u32, read: u32) -> Result<&[u8], ReadError> {
    if length < read + BLOCK_TRAILER || length > MAX_RECORD || !length.is_multiple_of(4) {
        return Err(MALFORMED);
    }
    let rest = input.lend((length - read) as usize)?;
    let (body, trailer) = rest.split_at(rest.len() - BLOCK_TRAILER as usize);
    if endian.u32(trailer, 0) == Some(length) { Ok(body) } else { Err(MALFORMED) }
}

impl Clock {
    fn nanoseconds(self, time: u64) -> u64 {
        let (seconds, fraction) = (time / self.resolution, time % self.resolution);
        let fraction = u128::from(fraction) * 1_000_000_000 / u128::from(self.resolution);
        let seconds = seconds.saturating_add_signed(self.offset_s);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(fraction).unwrap_or(0))
    }
}

/// Units per second, from `if_tsresol`: a power of ten, or of two if the highest bit is set.
fn resolution(option: u8) -> Option<u64> {
    let exponent = u32::from(option & 0x7f);
    if option & 0x80 == 0 { 10_u64.checked_pow(exponent) } else { 1_u64.checked_shl(exponent) }
}
