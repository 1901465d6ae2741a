//! Converts IEEE 802.11 frames to Ethernet, as Linux drivers do.
//!
//! The packet monitor reports the decrypted 802.11 frame of the driver. Some drivers leave the Protected Frame bit and
//! the cipher's header (8 octets for CCMP and TKIP, 4 for WEP) in place.

use super::ends::{PacketType, length_by_headers};
use super::pktmon::{MAX_SNAPLEN, Metadata};

/// Why a frame cannot be converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WifiError {
    /// A management or control frame, or a data frame without data.
    Management,
    /// The payload cannot be decoded: encrypted, a later fragment, or an A-MSDU.
    Unreadable,
}

const ETHERNET: usize = 14;
type Address = [u8; 6];

/// Replaces the 802.11 header by an Ethernet header, and updates the metadata.
///
/// # Errors
/// When the frame cannot be converted; then both arguments are unchanged.
pub fn to_ethernet(metadata: &mut Metadata, octets: &mut Vec<u8>) -> Result<(), WifiError> {
    let was_cut = octets.len() >= MAX_SNAPLEN;
    let (header, replaced) = ethernet_header(octets, metadata.length)?;
    octets.splice(..replaced, header);
    let less = u32::try_from(replaced - ETHERNET).unwrap_or_default();
    let by_headers = if was_cut { length_by_headers(PacketType::Ethernet, octets) } else { None };
    metadata.kind = PacketType::Ethernet;
    metadata.length = metadata.length.saturating_sub(less).max(by_headers.unwrap_or(0));
    Ok(())
}

/// The Ethernet header, and the number of octets that it replaces.
fn ethernet_header(frame: &[u8], length: u32) -> Result<([u8; ETHERNET], usize), WifiError> {
    // Frame Control, first octet.
    const VERSION: u8 = 0x03;
    const TYPE: u8 = 0x0c;
    const DATA: u8 = 0x08;
    const NULL_DATA: u8 = 0x40;
    const QOS: u8 = 0x80;
    // Frame Control, second octet.
    const TO_DS: u8 = 0x01;
    const FROM_DS: u8 = 0x02;
    const PROTECTED: u8 = 0x40;
    const ORDER: u8 = 0x80;
    // Sequence Control.
    const FRAGMENT: u8 = 0x0f;
    // QoS Control.
    const AMSDU: u8 = 0x80;

    let &[control, flags, ..] = frame else { return Err(WifiError::Unreadable) };
    if control & VERSION != 0 {
        return Err(WifiError::Unreadable);
    }
    if control & TYPE != DATA || control & NULL_DATA != 0 {
        return Err(WifiError::Management);
    }
    let fixed: &[u8; 24] = frame.first_chunk().ok_or(WifiError::Unreadable)?;
    if fixed[22] & FRAGMENT != 0 {
        return Err(WifiError::Unreadable);
    }
    let mut begin = fixed.len();
    let third = address(frame, 16)?;
    let (destination, source) = match (flags & TO_DS != 0, flags & FROM_DS != 0) {
        (false, false) => (address(frame, 4)?, address(frame, 10)?),
        (false, true) => (address(frame, 4)?, third),
        (true, false) => (third, address(frame, 10)?),
        (true, true) => {
            begin += size_of::<Address>();
            (third, address(frame, 24)?)
        }
    };
    if control & QOS != 0 {
        if frame.get(begin).is_none_or(|quality| quality & AMSDU != 0) {
            return Err(WifiError::Unreadable);
        }
        begin += if flags & ORDER != 0 { 6 } else { 2 };
    }
    let (kind, replaced) = payload(frame, begin, flags & PROTECTED != 0, length)?;
    let mut header = [0; ETHERNET];
    header[..6].copy_from_slice(&destination);
    header[6..12].copy_from_slice(&source);
    header[12..].copy_from_slice(&kind.to_be_bytes());
    Ok((header, replaced))
}

fn address(frame: &[u8], at: usize) -> Result<Address, WifiError> {
    frame.get(at..).and_then(|rest| rest.first_chunk()).copied().ok_or(WifiError::Unreadable)
}

/// The `EtherType` or length, and the offset of the payload.
fn payload(frame: &[u8], begin: usize, is_protected: bool, length: u32) -> Result<(u16, usize), WifiError> {
    /// Larger values are an `EtherType`.
    const MAX_LENGTH: u16 = 1500;
    /// The sizes of a remaining cipher header.
    const CIPHER_HEADERS: [usize; 3] = [0, 8, 4];
    let sizes = if is_protected { &CIPHER_HEADERS[..] } else { &CIPHER_HEADERS[..1] };
    for size in sizes {
        let at = begin + size;
        if let Some(protocol) = frame.get(at..).and_then(protocol) {
            return Ok((protocol, at + 8));
        }
    }
    // LLC without SNAP: an 802.3 frame with a length, such as the BPDUs of bridges.
    let rest = (length as usize).checked_sub(begin).and_then(|rest| u16::try_from(rest).ok());
    match rest {
        Some(0) => Err(WifiError::Management),
        Some(rest) if !is_protected && (3..=MAX_LENGTH).contains(&rest) && frame.len() > begin => {
            Ok((rest, begin))
        }
        _ => Err(WifiError::Unreadable),
    }
}

/// The `EtherType` of the LLC/SNAP header.
fn protocol(payload: &[u8]) -> Option<u16> {
    match *payload.first_chunk::<8>()? {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low] => Some(u16::from_be_bytes([high, low])),
        _ => None,
    }
}
