//! The layout of netlink messages and attributes. Pure: bytes in, bytes out.

use std::io;

/// An answer whose lengths contradict each other, or that is too short for what it should hold.
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

/// `NLM_F_DUMP_INTR`, which libc declares too wide.
const INTERRUPTED: u16 = 0x10;

impl Message<'_> {
    /// Whether the kernel's table changed during the dump.
    pub(super) const fn is_interrupted(&self) -> bool {
        self.flags & INTERRUPTED != 0
    }

    /// The outcome that ends a dump: an errno, negated, or nothing.
    pub(super) fn status(&self) -> io::Result<()> {
        match read_u32(self.payload, 0).map_or(0, u32::cast_signed) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        }
    }
}

/// The messages of one datagram; ends after the first malformed one.
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

/// The attributes at the end of a message, as (type, value); ends after the first malformed one.
pub(in super::super) struct Attributes<'a>(pub(in super::super) &'a [u8]);

const ATTRIBUTE_HEADER: usize = 4;
/// The two upper bits of an attribute's type say how it is coded, not what it is.
const ATTRIBUTE_TYPE: u16 = 0x3fff;

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

/// An attribute as it is sent, padded to a multiple of four.
pub(in super::super) fn encode_attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(ATTRIBUTE_HEADER + value.len()).unwrap_or(u16::MAX);
    let mut bytes = [length.to_ne_bytes(), kind.to_ne_bytes()].concat();
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// A request with these flags.
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

pub(in super::super) fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|value| u16::from_ne_bytes(*value))
}

pub(in super::super) fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|value| u32::from_ne_bytes(*value))
}

pub(in super::super) fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|value| u64::from_ne_bytes(*value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_request_reads_back_as_one_message() {
        let bytes = request(20, 0x301, 7, &[1, 2, 3, 4, 5]);
        let message = Messages(&bytes).next().unwrap().unwrap();
        assert_eq!((message.kind, message.sequence), (20, 7));
        assert_eq!(message.flags, 0x301);
        assert_eq!(message.payload, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn messages_are_padded_to_four_bytes_but_the_last_need_not_be() {
        let mut bytes = request(1, 0x301, 1, &[9]);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes.extend(request(2, 0x301, 1, &[8]));
        let kinds: Vec<_> = Messages(&bytes).map(|message| message.unwrap().kind).collect();
        assert_eq!(kinds, [1, 2]);
    }

    #[test]
    fn a_message_longer_than_the_datagram_is_malformed_and_the_last() {
        let mut bytes = request(1, 0x301, 1, &[0; 8]);
        bytes[0] = 200;
        let results: Vec<_> = Messages(&bytes).collect();
        assert_eq!(results, [Err(Malformed("a message's length is wrong"))]);
    }

    #[test]
    fn a_length_below_the_header_is_malformed() {
        assert!(Messages(&[0; 32]).next().unwrap().is_err());
        assert!(Attributes(&[3, 0, 1, 0]).next().unwrap().is_err());
    }

    #[test]
    fn attributes_read_back_without_the_bits_of_their_coding() {
        let bytes = [encode_attribute(3 | 0x8000, &[7]), encode_attribute(4, &[1, 2, 3, 4])].concat();
        let attributes: Result<Vec<_>, _> = Attributes(&bytes).collect();
        assert_eq!(attributes.unwrap(), [(3, &[7][..]), (4, &[1, 2, 3, 4])]);
    }

    #[test]
    fn an_error_carries_the_kernels_errno() {
        let payload = (-libc::ENOENT).to_ne_bytes();
        let message = Message { kind: 2, flags: 0, sequence: 0, payload: &payload };
        assert_eq!(message.status().unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }

    proptest! {
        #[test]
        fn garbage_ends_and_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(Messages(&bytes).count() <= bytes.len());
            prop_assert!(Attributes(&bytes).count() <= bytes.len());
        }
    }
}
