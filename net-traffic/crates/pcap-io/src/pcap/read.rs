//! Reads classic pcap files.

use std::io::Read;
use std::ops::ControlFlow;

use crate::endian::Endian;
use crate::format::{LinkType, PCAP_MICROSECONDS, PCAP_MODIFIED, PCAP_NANOSECONDS};
use crate::reading::{LONGEST, read_all, read_long, read_or_end};
use crate::{CaptureError, Interface, Packet, Take};

pub(crate) struct Pcap {
    endian: Endian,
    /// Of a unit of the second part of a time.
    nanoseconds: u64,
    header: usize,
    interface: [Interface; 1],
    buffer: Vec<u8>,
}

impl Pcap {
    /// Reads the rest of the file's header.
    pub(crate) fn begin(magic: [u8; 4], input: &mut dyn Read) -> Result<Self, CaptureError> {
        let big = u32::from_be_bytes(magic);
        let known = |magic| matches!(magic, PCAP_MICROSECONDS | PCAP_NANOSECONDS | PCAP_MODIFIED);
        let (endian, magic) = match (known(big), known(big.swap_bytes())) {
            (true, _) => (Endian::Big, big),
            (_, true) => (Endian::Little, big.swap_bytes()),
            _ => return Err(CaptureError::Unknown(big)),
        };
        let mut header = [0; 20];
        read_all(input, &mut header)?;
        let snaplen = endian.u32(&header, 12).unwrap_or(0);
        // The upper half tells of checksums at the end of frames.
        let link = LinkType(u16::try_from(endian.u32(&header, 16).unwrap_or(0) & 0xffff).unwrap_or(u16::MAX));
        Ok(Self {
            endian,
            nanoseconds: if magic == PCAP_NANOSECONDS { 1 } else { 1000 },
            header: if magic == PCAP_MODIFIED { 24 } else { 16 },
            interface: [Interface { link, snaplen, ..Interface::default() }],
            buffer: Vec::new(),
        })
    }

    pub(crate) fn interfaces(&self) -> &[Interface] {
        &self.interface
    }

    pub(crate) fn next(
        &mut self,
        input: &mut dyn Read,
        take: &mut Take<'_>,
    ) -> Result<ControlFlow<()>, CaptureError> {
        let mut header = [0; 24];
        let header = &mut header[..self.header];
        if !read_or_end(input, header)? {
            return Ok(ControlFlow::Break(()));
        }
        let word = |at| self.endian.u32(header, at).unwrap_or(0);
        let (seconds, fraction, captured, length) = (word(0), word(4), word(8), word(12));
        if captured > LONGEST {
            return Err(CaptureError::Format("a packet is longer than any can be"));
        }
        read_long(input, &mut self.buffer, captured)?;
        let packet = Packet {
            time_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanoseconds,
            interface: 0,
            direction: None,
            length: length.max(captured),
            data: &self.buffer,
            segments: None,
            checksum: None,
            process: None,
            lost_before: 0,
        };
        Ok(take(&self.interface, &packet))
    }
}
