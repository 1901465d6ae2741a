//! Classic pcap: one link type, no interfaces, no processes. Times in microseconds, as every reader knows them.

use crate::format::{LinkType, MAX_SNAPLEN, PCAP_MICROSECONDS};
use crate::{Direction, Interface, Packet};

/// What stands before the octets of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    AsIs(LinkType),
    /// Packets of several interfaces get a header that names theirs.
    Cooked,
}

pub fn begin(out: &mut Vec<u8>, header: Header, snaplen: u32) {
    let link = match header {
        Header::AsIs(link) => link,
        Header::Cooked => LinkType::LINUX_SLL2,
    };
    let snaplen = if snaplen == 0 { MAX_SNAPLEN } else { snaplen };
    let version = 2_u32 | 4 << 16;
    for word in [PCAP_MICROSECONDS, version, 0, 0, snaplen, link.0.into()] {
        out.extend(word.to_le_bytes());
    }
}

pub fn packet(out: &mut Vec<u8>, header: Header, interfaces: &[Interface], packet: &Packet<'_>) {
    let seconds = u32::try_from(packet.time_ns / 1_000_000_000).unwrap_or(u32::MAX);
    let microseconds = u32::try_from(packet.time_ns % 1_000_000_000 / 1000).unwrap_or(0);
    let (cooked, skipped) = match header {
        Header::AsIs(_) => (None, 0),
        Header::Cooked => {
            let (cooked, skipped) = cook(interfaces.get(packet.interface), packet);
            (Some(cooked), skipped)
        }
    };
    let cooked = cooked.as_ref().map_or(&[][..], |cooked| &cooked[..]);
    let data = packet.data.get(skipped..).unwrap_or(&[]);
    let captured = u32::try_from(cooked.len() + data.len()).unwrap_or(u32::MAX);
    let missing = packet.length.saturating_sub(u32::try_from(packet.data.len()).unwrap_or(u32::MAX));
    let mut head = [0; 16];
    head[..4].copy_from_slice(&seconds.to_le_bytes());
    head[4..8].copy_from_slice(&microseconds.to_le_bytes());
    head[8..12].copy_from_slice(&captured.to_le_bytes());
    head[12..].copy_from_slice(&captured.saturating_add(missing).to_le_bytes());
    out.extend_from_slice(&head);
    out.extend_from_slice(cooked);
    out.extend_from_slice(data);
}

const COOKED: usize = 20;

/// `LINKTYPE_LINUX_SLL2`, and how many octets of the packet it takes the place of.
fn cook(interface: Option<&Interface>, packet: &Packet<'_>) -> ([u8; COOKED], usize) {
    const ARPHRD_ETHER: u16 = 1;
    const ARPHRD_NONE: u16 = 0xfffe;
    const OTHER_HOST: u8 = 3;
    const OUTGOING: u8 = 4;
    let ethernet = interface.is_some_and(|interface| interface.link == LinkType::ETHERNET);
    let mut header = [0; COOKED];
    let data = packet.data;
    let (protocol, hardware, skipped) = match data.get(..14) {
        Some(frame) if ethernet => {
            header[11] = 6;
            header[12..18].copy_from_slice(&frame[6..12]);
            ([frame[12], frame[13]], ARPHRD_ETHER, 14)
        }
        _ => (ip_ethertype(data), ARPHRD_NONE, 0),
    };
    header[..2].copy_from_slice(&protocol);
    header[4..8].copy_from_slice(&interface.map_or(0, |interface| interface.index).to_be_bytes());
    header[8..10].copy_from_slice(&hardware.to_be_bytes());
    header[10] = match (packet.direction, data.first()) {
        (Some(Direction::Out), _) => OUTGOING,
        (_, Some(0xff)) if ethernet => 1,
        (_, Some(first)) if ethernet && first & 1 == 1 => 2,
        (None, _) => OTHER_HOST,
        _ => 0,
    };
    (header, skipped)
}

fn ip_ethertype(data: &[u8]) -> [u8; 2] {
    match data.first().map(|first| first >> 4) {
        Some(4) => [0x08, 0x00],
        Some(6) => [0x86, 0xdd],
        _ => [0, 0],
    }
}
