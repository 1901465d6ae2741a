//! Frames of the air, seen as Ethernet: so that a wireless adapter shows what a cable would, as it does elsewhere.
//!
//! The packet monitor hands them over as the driver did: with the header of IEEE 802.11, deciphered, though some drivers
//! leave the mark of a cipher, and its numbers before the payload.

use super::ends::length_by_headers;
use super::pktmon::{Kind, MOST, Metadata};

/// Why a frame cannot be seen as Ethernet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoPacket {
    /// It carries nothing of anybody's: it manages the network or acknowledges.
    Management,
    /// It carries something that cannot be told: enciphered, a later fragment, several packets in one.
    Unreadable,
}

const ETHERNET: usize = 14;
type Address = [u8; 6];

/// Makes a frame of Ethernet of it, and the description fit.
///
/// # Errors
/// When it is none; then nothing has changed.
pub fn to_ethernet(metadata: &mut Metadata, octets: &mut Vec<u8>) -> Result<(), NoPacket> {
    let was_cut = octets.len() >= MOST;
    let (header, replaced) = translate(octets, metadata.length)?;
    octets.splice(..replaced, header);
    let less = u32::try_from(replaced - ETHERNET).unwrap_or_default();
    let by_headers = if was_cut { length_by_headers(Kind::Ethernet, octets) } else { None };
    metadata.kind = Kind::Ethernet;
    metadata.length = metadata.length.saturating_sub(less).max(by_headers.unwrap_or(0));
    Ok(())
}

/// The header that Ethernet has for it, and how many octets that stands for.
fn translate(frame: &[u8], length: u32) -> Result<([u8; ETHERNET], usize), NoPacket> {
    /// Bits of the first octet.
    const VERSION: u8 = 0x03;
    const KIND: u8 = 0x0c;
    const DATA: u8 = 0x08;
    const NO_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    /// Bits of the second.
    const TO_NETWORK: u8 = 0x01;
    const FROM_NETWORK: u8 = 0x02;
    const ENCIPHERED: u8 = 0x40;
    const MORE_CONTROL: u8 = 0x80;
    /// Of the field that says which fragment it is.
    const FRAGMENT: u8 = 0x0f;
    /// Of the field for the quality of service.
    const SEVERAL: u8 = 0x80;

    let &[control, flags, ..] = frame else { return Err(NoPacket::Unreadable) };
    if control & VERSION != 0 {
        return Err(NoPacket::Unreadable);
    }
    if control & KIND != DATA || control & NO_DATA != 0 {
        return Err(NoPacket::Management);
    }
    let fixed: &[u8; 24] = frame.first_chunk().ok_or(NoPacket::Unreadable)?;
    if fixed[22] & FRAGMENT != 0 {
        return Err(NoPacket::Unreadable);
    }
    let mut begin = fixed.len();
    let third = address(frame, 16)?;
    let (destination, source) = match (flags & TO_NETWORK != 0, flags & FROM_NETWORK != 0) {
        (false, false) => (address(frame, 4)?, address(frame, 10)?),
        (false, true) => (address(frame, 4)?, third),
        (true, false) => (third, address(frame, 10)?),
        (true, true) => {
            begin += size_of::<Address>();
            (third, address(frame, 24)?)
        }
    };
    if control & QOS != 0 {
        if frame.get(begin).is_none_or(|quality| quality & SEVERAL != 0) {
            return Err(NoPacket::Unreadable);
        }
        begin += if flags & MORE_CONTROL != 0 { 6 } else { 2 };
    }
    let (kind, replaced) = payload(frame, begin, flags & ENCIPHERED != 0, length)?;
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&destination);
    header[6..12].copy_from_slice(&source);
    header[12..].copy_from_slice(&kind.to_be_bytes());
    Ok((header, replaced))
}

fn address(frame: &[u8], at: usize) -> Result<Address, NoPacket> {
    frame.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(NoPacket::Unreadable)
}

/// What Ethernet has after the addresses, the protocol or a length, and where the rest begins.
fn payload(frame: &[u8], begin: usize, enciphered: bool, length: u32) -> Result<(u16, usize), NoPacket> {
    /// The most that is a length and no protocol.
    const MOST_LENGTH: u16 = 1500;
    /// The numbers of ciphers, where a driver leaves them.
    const LEFT: [usize; 3] = [0, 8, 4];
    let places = if enciphered { &LEFT[..] } else { &LEFT[..1] };
    for left in places {
        let at = begin + left;
        if let Some(protocol) = frame.get(at..).and_then(protocol) {
            return Ok((protocol, at + 8));
        }
    }
    // Without the extension for protocols it is a frame with a length, such as those of bridges.
    let rest = (length as usize).checked_sub(begin).and_then(|rest| u16::try_from(rest).ok());
    match rest {
        Some(0) => Err(NoPacket::Management),
        Some(rest) if !enciphered && (3..=MOST_LENGTH).contains(&rest) && frame.len() > begin => {
            Ok((rest, begin))
        }
        _ => Err(NoPacket::Unreadable),
    }
}

/// The protocol, as LLC and SNAP say it.
fn protocol(payload: &[u8]) -> Option<u16> {
    match *payload.first_chunk::<8>()? {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
