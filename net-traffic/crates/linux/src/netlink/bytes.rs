//! Encodes and decodes netlink messages and attributes (<https://man7.org/linux/man-pages/man7/netlink.7.html>).
//! Pure: bytes in, bytes out.

use std::io;

/// An answer with contradictory lengths, or without room for a required field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed netlink answer: {0}")]
pub(in super::super) struct Malformed(pub(in super::super) &'static str);

impl From<Malformed> for io::Error {
    fn from(malformed: Malformed) -> Self {
        Self::new(io::ErrorKind::InvalidData, malformed)
    }
}

/// One message of a datagram.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) flags: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
}

const INTERRUPTED: u16 = low_bits(libc::NLM_F_DUMP_INTR);

impl Message<'_> {
    /// Whether the kernel's table changed during the dump
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/include/net/netlink.h#L1192>).
    pub(super) const fn is_interrupted(&self) -> bool {
        self.flags & INTERRUPTED != 0
    }

    /// The result in an error or end message: a negated errno, or 0.
    pub(super) fn status(&self) -> io::Result<()> {
        match read_u32(self.payload, 0).map_or(0, u32::cast_signed) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        }
    }
}

/// The messages of one datagram. A malformed message is the last item.
pub(super) struct Messages<'a>(pub(super) &'a [u8]);

const MESSAGE_HEADER: usize = 16;

impl<'a> Iterator for Messages<'a> {
    type Item = Result<Message<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let message = message(bytes);
        if let Ok(message) = &message {
            let used = (MESSAGE_HEADER + message.payload.len()).next_multiple_of(4);
            self.0 = bytes.get(used..).unwrap_or_default();
        }
        Some(message)
    }
}

fn message(bytes: &[u8]) -> Result<Message<'_>, Malformed> {
    let short = Malformed("no room for a message header");
    let length = read_u32(bytes, 0).ok_or(short)? as usize;
    let payload = bytes.get(MESSAGE_HEADER..length).ok_or(Malformed("a message's length is wrong"))?;
    Ok(Message {
        kind: read_u16(bytes, 4).ok_or(short)?,
        flags: read_u16(bytes, 6).ok_or(short)?,
        sequence: read_u32(bytes, 8).ok_or(short)?,
        payload,
    })
}

/// Attributes as (type, value). A malformed attribute is the last item.
pub(in super::super) struct Attributes<'a>(pub(in super::super) &'a [u8]);

const ATTRIBUTE_HEADER: usize = 4;
/// The two upper bits of an attribute's type are the flags `NLA_F_NESTED` and `NLA_F_NET_BYTEORDER`.
const ATTRIBUTE_TYPE: u16 = !low_bits(libc::NLA_F_NESTED | libc::NLA_F_NET_BYTEORDER);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(u16, &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.0);
        let attribute = attribute(bytes);
        if let Ok((_, value)) = attribute {
            let used = (ATTRIBUTE_HEADER + value.len()).next_multiple_of(4);
            self.0 = bytes.get(used..).unwrap_or_default();
        }
        Some(attribute)
    }
}

fn attribute(bytes: &[u8]) -> Result<(u16, &[u8]), Malformed> {
    let short = Malformed("no room for an attribute header");
    let length = read_u16(bytes, 0).ok_or(short)?;
    let kind = read_u16(bytes, 2).ok_or(short)? & ATTRIBUTE_TYPE;
    let value = bytes.get(ATTRIBUTE_HEADER..usize::from(length));
    Ok((kind, value.ok_or(Malformed("an attribute's length is wrong"))?))
}

/// Encodes an attribute, padded to a multiple of four bytes.
pub(in super::super) fn encode_attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// Encodes a request. The kernel fills in the port id, so that the field is 0.
pub(super) fn request(kind: u16, flags: u16, sequence: u32, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(MESSAGE_HEADER + body.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(MESSAGE_HEADER + body.len());
    bytes.extend_from_slice(&length.to_ne_bytes());
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&flags.to_ne_bytes());
    bytes.extend_from_slice(&sequence.to_ne_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(body);
    bytes
}

/// The lower 16 bits. libc declares header fields as `c_int`; the headers have 16 bits for them.
pub(super) const fn low_bits(value: libc::c_int) -> u16 {
    let [first, second, ..] = value.to_le_bytes();
    u16::from_le_bytes([first, second])
}

pub(in super::super) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|value| u16::from_ne_bytes(*value))
}

pub(in super::super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|value| u32::from_ne_bytes(*value))
}

pub(in super::super) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|value| u64::from_ne_bytes(*value))
}

/// An IP address as the eBPF maps store it: in network order, IPv4 in the first word. `None` for another length.
pub(in super::super) fn read_address(value: &[u8]) -> Option<[u32; 4]> {
    let word = |index: usize| read_u32(value, 4 * index);
    match value.len() {
        4 => Some([word(0)?, 0, 0, 0]),
        16 => Some([word(0)?, word(1)?, word(2)?, word(3)?]),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn encoded_request_decodes_to_one_message() {
        let bytes = request(20, 0x301, 7, &[1, 2, 3, 4, 5]);
        let message = Messages(&bytes).next().unwrap().unwrap();
        assert_eq!((message.kind, message.sequence), (20, 7));
        assert_eq!(message.flags, 0x301);
        assert_eq!(message.payload, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn last_message_without_padding_is_decoded() {
        let mut bytes = request(1, 0x301, 1, &[9]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(request(2, 0x301, 1, &[8]));
        let kinds: Vec<_> = Messages(&bytes).map(|message| message.unwrap().kind).collect();
        assert_eq!(kinds, [1, 2]);
    }

    #[test]
    fn message_longer_than_datagram_ends_with_error() {
        let mut bytes = request(1, 0x301, 1, &[0; 8]);
        bytes[0] = 200;
        let results: Vec<_> = Messages(&bytes).collect();
        assert_eq!(results, [Err(Malformed("a message's length is wrong"))]);
    }

    #[test]
    fn length_below_header_is_malformed() {
        assert!(Messages(&[0; 32]).next().unwrap().is_err());
        assert!(Attributes(&[3, 0, 1, 0]).next().unwrap().is_err());
    }

    #[test]
    fn encoded_attributes_decode_without_flag_bits() {
        let bytes = [encode_attribute(3 | 0x8000, &[7]), encode_attribute(4, &[1, 2, 3, 4])].concat();
        let attributes: Result<Vec<_>, _> = Attributes(&bytes).collect();
        assert_eq!(attributes.unwrap(), [(3, &[7][..]), (4, &[1, 2, 3, 4])]);
    }

    #[test]
    fn error_message_has_the_kernels_errno() {
        let payload = (-libc::ENOENT).to_ne_bytes();
        let message = Message { kind: 2, flags: 0, sequence: 0, payload: &payload };
        assert_eq!(message.status().unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn address_has_four_or_sixteen_bytes() {
        assert_eq!(read_address(&[1; 4]), Some([0x0101_0101, 0, 0, 0]));
        assert_eq!(read_address(&[1; 16]), Some([0x0101_0101; 4]));
        assert_eq!(read_address(&[1; 5]), None);
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_end_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(Messages(&bytes).count() <= bytes.len());
            prop_assert!(Attributes(&bytes).count() <= bytes.len());
        }
    }
}
