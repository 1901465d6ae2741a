//! Numbers of a file in its byte order.

/// The order of the octets in a file's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endian {
    Big,
    Little,
}

impl Endian {
    pub(crate) fn u16(self, octets: &[u8], at: usize) -> Option<u16> {
        let octets = octets.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(match self {
            Self::Big => u16::from_be_bytes(octets),
            Self::Little => u16::from_le_bytes(octets),
        })
    }

    pub(crate) fn u32(self, octets: &[u8], at: usize) -> Option<u32> {
        let octets = octets.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self {
            Self::Big => u32::from_be_bytes(octets),
            Self::Little => u32::from_le_bytes(octets),
        })
    }

    pub(crate) fn u64(self, octets: &[u8], at: usize) -> Option<u64> {
        let octets = octets.get(at..at.checked_add(8)?)?.try_into().ok()?;
        Some(match self {
            Self::Big => u64::from_be_bytes(octets),
            Self::Little => u64::from_le_bytes(octets),
        })
    }
}
