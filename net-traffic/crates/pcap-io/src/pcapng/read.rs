//! Reads pcapng files: sections of either byte order, interfaces with their own clocks, and processes in packets.

use std::collections::HashMap;
use std::io::Read;
use std::ops::ControlFlow;
use std::sync::Arc;

use super::described::{Described, described};
use crate::endian::Endian;
use crate::format::{
    BYTE_ORDER, ENHANCED_PACKET, IF_DESCRIPTION, IF_FILTER, IF_NAME, IF_TSOFFSET, IF_TSRESOL,
    INTERFACE_DESCRIPTION, LinkType, OLD_PACKET, OPT_END, SECTION_HEADER, SIMPLE_PACKET,
};
use crate::reading::{LONGEST, read_all, read_long, read_or_end};
use crate::{CaptureError, Interface, Packet, Process, Take};

pub(crate) struct PcapNg {
    endian: Endian,
    /// Of all sections.
    interfaces: Vec<Interface>,
    clocks: Vec<Clock>,
    /// Where the interfaces of this section begin.
    first: usize,
    buffer: Vec<u8>,
    /// By PID: what was said of a process once is not said again.
    processes: HashMap<u32, Arc<Process>>,
}

/// How an interface's times are to be read.
#[derive(Clone, Copy)]
struct Clock {
    /// Units in a second.
    resolution: u64,
    offset_s: i64,
}

const NONSENSE: CaptureError = CaptureError::Format("a block of the file has no sense");

impl PcapNg {
    /// Reads the rest of the first section's header, whose type was read.
    pub(crate) fn begin(input: &mut dyn Read) -> Result<Self, CaptureError> {
        let mut it = Self {
            endian: Endian::Little,
            interfaces: Vec::new(),
            clocks: Vec::new(),
            first: 0,
            buffer: Vec::new(),
            processes: HashMap::new(),
        };
        let mut length = [0; 4];
        read_all(input, &mut length)?;
        it.section(input, length)?;
        Ok(it)
    }

    pub(crate) fn interfaces(&self) -> &[Interface] {
        &self.interfaces
    }

    /// Reads one block, which may be a packet.
    pub(crate) fn next(
        &mut self,
        input: &mut dyn Read,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, CaptureError> {
        let mut header = [0; 8];
        if !read_or_end(input, &mut header)? {
            return Ok(ControlFlow::Break(()));
        }
        let kind = self.endian.u32(&header, 0).unwrap_or(0);
        if kind == SECTION_HEADER {
            let [_, _, _, _, length @ ..] = header;
            self.section(input, length)?;
            return Ok(ControlFlow::Continue(()));
        }
        let length = self.endian.u32(&header, 4).unwrap_or(0);
        self.body(input, length, 8)?;
        match kind {
            INTERFACE_DESCRIPTION => self.interface()?,
            ENHANCED_PACKET => return self.enhanced(take),
            SIMPLE_PACKET => return self.simple(take),
            OLD_PACKET => return self.old(take),
            _ => {}
        }
        Ok(ControlFlow::Continue(()))
    }

    /// Reads a block's body, of which the first `read` octets of the block were read.
    fn body(&mut self, input: &mut dyn Read, length: u32, read: u32) -> Result<(), CaptureError> {
        if length < read + 4 || length > LONGEST || !length.is_multiple_of(4) {
            return Err(NONSENSE);
        }
        read_long(input, &mut self.buffer, length - read)?;
        let end = self.buffer.len() - 4;
        if self.endian.u32(&self.buffer, end) != Some(length) {
            return Err(NONSENSE);
        }
        self.buffer.truncate(end);
        Ok(())
    }

    fn section(&mut self, input: &mut dyn Read, length: [u8; 4]) -> Result<(), CaptureError> {
        let mut order = [0; 4];
        read_all(input, &mut order)?;
        self.endian = match u32::from_le_bytes(order) {
            BYTE_ORDER => Endian::Little,
            other if other.swap_bytes() == BYTE_ORDER => Endian::Big,
            _ => return Err(NONSENSE),
        };
        self.first = self.interfaces.len();
        let length = self.endian.u32(&length, 0).unwrap_or(0);
        self.body(input, length, 12)
    }

    fn interface(&mut self) -> Result<(), CaptureError> {
        let endian = self.endian;
        let link = LinkType(endian.u16(&self.buffer, 0).ok_or(NONSENSE)?);
        let snaplen = endian.u32(&self.buffer, 4).ok_or(NONSENSE)?;
        let mut interface = Interface { link, snaplen, ..Interface::default() };
        let mut clock = Clock { resolution: 1_000_000, offset_s: 0 };
        for (code, value) in Options::new(endian, self.buffer.get(8..).unwrap_or(&[])) {
            match code {
                IF_NAME => interface.name = Some(text(value)),
                IF_DESCRIPTION => interface.description = Some(text(value)),
                // The first octet of a filter says what it is; 0 is an expression.
                IF_FILTER => interface.filter = value.split_first().map(|(_, filter)| text(filter)),
                IF_TSRESOL => {
                    clock.resolution = value.first().copied().and_then(resolution).ok_or(NONSENSE)?;
                }
                IF_TSOFFSET => clock.offset_s = endian.u64(value, 0).unwrap_or(0).cast_signed(),
                _ => {}
            }
        }
        self.interfaces.push(interface);
        self.clocks.push(clock);
        Ok(())
    }

    fn enhanced(&mut self, take: &mut Take<'_>) -> Result<ControlFlow<()>, CaptureError> {
        let word = |at| self.endian.u32(&self.buffer, at).ok_or(NONSENSE);
        let (id, time, captured, length) = (word(0)?, (word(4)?, word(8)?), word(12)?, word(16)?);
        self.packet(id, time, captured, length, 20, take)
    }

    fn old(&mut self, take: &mut Take<'_>) -> Result<ControlFlow<()>, CaptureError> {
        let word = |at| self.endian.u32(&self.buffer, at).ok_or(NONSENSE);
        let id = self.endian.u16(&self.buffer, 0).ok_or(NONSENSE)?.into();
        let (time, captured, length) = ((word(4)?, word(8)?), word(12)?, word(16)?);
        self.packet(id, time, captured, length, 20, take)
    }

    /// It has no time and belongs to the section's first interface.
    fn simple(&mut self, take: &mut Take<'_>) -> Result<ControlFlow<()>, CaptureError> {
        let length = self.endian.u32(&self.buffer, 0).ok_or(NONSENSE)?;
        let snaplen = self.interfaces.get(self.first).ok_or(NONSENSE)?.snaplen;
        let limit = if snaplen == 0 { length } else { length.min(snaplen) };
        let captured = limit.min(u32::try_from(self.buffer.len().saturating_sub(4)).unwrap_or(0));
        self.packet(0, (0, 0), captured, length, 4, take)
    }

    fn packet(
        &mut self,
        id: u32,
        (high, low): (u32, u32),
        captured: u32,
        length: u32,
        begin: usize,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, CaptureError> {
        let interface = self.first.checked_add(id as usize).ok_or(NONSENSE)?;
        let clock = *self.clocks.get(interface).ok_or(NONSENSE)?;
        let end = begin.checked_add(captured as usize).ok_or(NONSENSE)?;
        let data = self.buffer.get(begin..end).ok_or(NONSENSE)?;
        let options = self.buffer.get(end.next_multiple_of(4)..).unwrap_or(&[]);
        let Described { direction, checksum, segments, pid, lost } =
            described(self.endian, options, &mut self.processes);
        let packet = Packet {
            time_ns: clock.nanoseconds(u64::from(high) << 32 | u64::from(low)),
            interface,
            direction,
            length: length.max(captured),
            data,
            segments,
            checksum,
            process: pid.and_then(|pid| self.processes.get(&pid)),
            lost_before: lost,
        };
        Ok(take(&self.interfaces, &packet))
    }
}

impl Clock {
    fn nanoseconds(self, time: u64) -> u64 {
        let (seconds, fraction) = (time / self.resolution, time % self.resolution);
        let fraction = u128::from(fraction) * 1_000_000_000 / u128::from(self.resolution);
        let seconds = seconds.saturating_add_signed(self.offset_s);
        seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(fraction).unwrap_or(0))
    }
}

/// Units in a second: a power of ten, or of two where the highest bit is set.
fn resolution(option: u8) -> Option<u64> {
    let exponent = u32::from(option & 0x7f);
    if option & 0x80 == 0 { 10_u64.checked_pow(exponent) } else { 1_u64.checked_shl(exponent) }
}

pub(super) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).trim_end_matches('\0').to_owned()
}

/// The options of a block, as far as they make sense.
pub(super) struct Options<'a> {
    endian: Endian,
    rest: &'a [u8],
}

impl<'a> Options<'a> {
    pub(super) fn new(endian: Endian, rest: &'a [u8]) -> Self {
        Self { endian, rest }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let code = self.endian.u16(self.rest, 0).filter(|code| *code != OPT_END)?;
        let length = usize::from(self.endian.u16(self.rest, 2)?);
        let value = self.rest.get(4..4 + length)?;
        self.rest = self.rest.get((4 + length).next_multiple_of(4)..).unwrap_or(&[]);
        Some((code, value))
    }
}
