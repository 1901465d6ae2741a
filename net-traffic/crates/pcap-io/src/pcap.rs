//! Classic pcap (<https://datatracker.ietf.org/doc/draft-ietf-opsawg-pcap/>): one link type for a whole file, no
//! interfaces and no processes.
//!
//! The reader accepts both byte orders, times in microseconds or nanoseconds, and the "modified" header of Alexey
//! Kuznetzov's patched libpcap. The writer writes little-endian, in microseconds.

use crate::endian::Endian;
use crate::input::{Input, MAX_RECORD};
use crate::{Direction, Interface, LinkType, MAX_SNAPLEN, Packet, ReadError};

const MICROSECONDS: u32 = 0xa1b2_c3d4;
const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// Each packet header has eight more bytes.
const MODIFIED: u32 = 0xa1b2_cd34;

const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;
const MODIFIED_PACKET_HEADER: usize = 24;

pub(crate) struct PcapReader {
    endian: Endian,
    /// The unit of the fraction of a second.
    nanoseconds: u64,
    packet_header: usize,
    interface: [Interface; 1],
}

impl PcapReader {
    pub(crate) fn new(input: &mut Input) -> Result<Self, ReadError> {
        let big = u32::from_be_bytes(input.peek()?);
        let known = |magic| matches!(magic, MICROSECONDS | NANOSECONDS | MODIFIED);
        let (endian, magic) = match (known(big), known(big.swap_bytes())) {
            (true, _) => (Endian::Big, big),
            (_, true) => (Endian::Little, big.swap_bytes()),
            _ => return Err(ReadError::UnknownFormat(big)),
        };
        let header = input.lend(FILE_HEADER)?;
        let snaplen = endian.u32(header, 16).unwrap_or(0);
        // The upper half describes a frame check sequence, if packets end with one.
        let link = LinkType(u16::try_from(endian.u32(header, 20).unwrap_or(0) & 0xffff).unwrap_or(u16::MAX));
        Ok(Self {
            endian,
            nanoseconds: if magic == NANOSECONDS { 1 } else { 1000 },
            packet_header: if magic == MODIFIED { MODIFIED_PACKET_HEADER } else { PACKET_HEADER },
            interface: [Interface { link, snaplen, ..Interface::default() }],
        })
    }

    pub(crate) fn interfaces(&self) -> &[Interface] {
        &self.interface
    }

    pub(crate) fn next_packet<'a>(
        &'a mut self,
        input: &'a mut Input,
    ) -> Result<Option<(&'a [Interface], Packet<'a>)>, ReadError> {
        let Some(header) = input.lend_or_end(self.packet_header)? else { return Ok(None) };
        let word = |at| self.endian.u32(header, at).unwrap_or(0);
        let (seconds, fraction, captured, length) = (word(0), word(4), word(8), word(12));
        if captured > MAX_RECORD {
            return Err(ReadError::Malformed("a packet is longer than 64 MiB"));
        }
        let packet = Packet {
            time_ns: u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.nanoseconds,
            length: length.max(captured),
            ..Packet::new(input.lend(captured as usize)?)
        };
        Ok(Some((&self.interface, packet)))
    }
}

/// The link-layer header of the packets in a pcap file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkHeader {
    /// Each packet keeps its own header, which is of this link type.
    AsIs(LinkType),
    /// Each packet gets a `LINKTYPE_LINUX_SLL2` header, which holds the interface index. It replaces an Ethernet header.
    /// For packets of several interfaces.
    Cooked,
}

/// Encodes a pcap file. The bytes are appended to a buffer; the caller writes the buffer to a file.
#[derive(Clone, Copy, Debug)]
pub struct PcapWriter {
    header: LinkHeader,
}

impl PcapWriter {
    /// Appends the file header. `snaplen` 0 stands for [`MAX_SNAPLEN`].
    pub fn new(out: &mut Vec<u8>, header: LinkHeader, snaplen: u32) -> Self {
        let link = match header {
            LinkHeader::AsIs(link) => link,
            LinkHeader::Cooked => LinkType::LINUX_SLL2,
        };
        let snaplen = if snaplen == 0 { MAX_SNAPLEN } else { snaplen };
        let version = 2_u32 | 4 << 16;
        for word in [MICROSECONDS, version, 0, 0, snaplen, link.0.into()] {
            out.extend(word.to_le_bytes());
        }
        Self { header }
    }

    /// Appends a packet. `packet.interface` is an index into `interfaces`.
    pub fn packet(&self, out: &mut Vec<u8>, interfaces: &[Interface], packet: &Packet<'_>) {
        let seconds = u32::try_from(packet.time_ns / 1_000_000_000).unwrap_or(u32::MAX);
        let microseconds = u32::try_from(packet.time_ns % 1_000_000_000 / 1000).unwrap_or(0);
        let (cooked, replaced) = match self.header {
            LinkHeader::AsIs(_) => (None, 0),
            LinkHeader::Cooked => {
                let (cooked, replaced) = cook(interfaces.get(packet.interface), packet);
                (Some(cooked), replaced)
            }
        };
        let cooked = cooked.as_ref().map_or(&[][..], |cooked| &cooked[..]);
        let data = packet.data.get(replaced..).unwrap_or(&[]);
        let captured = u32::try_from(cooked.len() + data.len()).unwrap_or(u32::MAX);
        let missing = packet.length.saturating_sub(u32::try_from(packet.data.len()).unwrap_or(u32::MAX));
        let mut head = [0; PACKET_HEADER];
        head[..4].copy_from_slice(&seconds.to_le_bytes());
        head[4..8].copy_from_slice(&microseconds.to_le_bytes());
        head[8..12].copy_from_slice(&captured.to_le_bytes());
        head[12..].copy_from_slice(&captured.saturating_add(missing).to_le_bytes());
        out.extend_from_slice(&head);
        out.extend_from_slice(cooked);
        out.extend_from_slice(data);
    }
}

const COOKED_HEADER: usize = 20;
const ETHERNET_HEADER: usize = 14;

/// The packet's `LINKTYPE_LINUX_SLL2` header
/// (<https://www.tcpdump.org/linktypes/LINKTYPE_LINUX_SLL2.html>), and how many bytes of the packet it replaces.
fn cook(interface: Option<&Interface>, packet: &Packet<'_>) -> ([u8; COOKED_HEADER], usize) {
    const ARPHRD_ETHER: u16 = 1;
    const ARPHRD_NONE: u16 = 0xfffe;
    const TO_US: u8 = 0;
    const BROADCAST: u8 = 1;
    const MULTICAST: u8 = 2;
    const OTHER_HOST: u8 = 3;
    const OUTGOING: u8 = 4;
    let ethernet = interface.is_some_and(|interface| interface.link == LinkType::ETHERNET);
    let mut header = [0; COOKED_HEADER];
    let data = packet.data;
    let (protocol, hardware, replaced) = match data.get(..ETHERNET_HEADER) {
        Some(frame) if ethernet => {
            header[11] = 6;
            header[12..18].copy_from_slice(&frame[6..12]);
            ([frame[12], frame[13]], ARPHRD_ETHER, ETHERNET_HEADER)
        }
        _ => (ip_ethertype(data), ARPHRD_NONE, 0),
    };
    header[..2].copy_from_slice(&protocol);
    header[4..8].copy_from_slice(&interface.map_or(0, |interface| interface.index).to_be_bytes());
    header[8..10].copy_from_slice(&hardware.to_be_bytes());
    header[10] = match (packet.direction, data.first()) {
        (Some(Direction::Out), _) => OUTGOING,
        (_, Some(0xff)) if ethernet => BROADCAST,
        (_, Some(first)) if ethernet && first & 1 == 1 => MULTICAST,
        (None, _) => OTHER_HOST,
        _ => TO_US,
    };
    (header, replaced)
}

fn ip_ethertype(data: &[u8]) -> [u8; 2] {
    match data.first().map(|first| first >> 4) {
        Some(4) => [0x08, 0x00],
        Some(6) => [0x86, 0xdd],
        _ => [0, 0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CaptureReader;

    const FRAME: [u8; 20] = [0xff, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x08, 0x06, 0, 1, 8, 0, 6, 4];

    fn interface(link: LinkType) -> [Interface; 1] {
        [Interface { link, index: 7, ..Interface::default() }]
    }

    #[test]
    fn written_packet_reads_back() {
        let mut out = Vec::new();
        let writer = PcapWriter::new(&mut out, LinkHeader::AsIs(LinkType::ETHERNET), 0);
        let written = Packet { time_ns: 1_700_000_000_123_456_000, length: 60, ..Packet::new(&FRAME) };
        writer.packet(&mut out, &interface(LinkType::ETHERNET), &written);
        let mut reader = CaptureReader::new(std::io::Cursor::new(out)).unwrap();
        let (interfaces, packet) = reader.next_packet().unwrap().unwrap();
        assert_eq!((interfaces[0].link, interfaces[0].snaplen), (LinkType::ETHERNET, MAX_SNAPLEN));
        assert_eq!((packet.time_ns, packet.length, packet.data), (written.time_ns, 60, &FRAME[..]));
        assert!(reader.next_packet().unwrap().is_none());
    }

    #[test]
    fn cooked_header_replaces_the_ethernet_header() {
        let mut out = Vec::new();
        let writer = PcapWriter::new(&mut out, LinkHeader::Cooked, 0);
        let packet = Packet { direction: Some(Direction::In), length: 60, ..Packet::new(&FRAME) };
        writer.packet(&mut out, &interface(LinkType::ETHERNET), &packet);
        let expected = [8, 6, 0, 0, 0, 0, 0, 7, 0, 1, 1, 6, 6, 7, 8, 9, 10, 11, 0, 0, 0, 1, 8, 0, 6, 4];
        assert_eq!(out[FILE_HEADER + PACKET_HEADER..], expected);
        // 40 bytes of the frame are missing, as before.
        assert_eq!(out[FILE_HEADER + 8..][..8], [26, 0, 0, 0, 66, 0, 0, 0]);
    }
}
