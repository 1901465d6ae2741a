//! Decodes the records of the ring: bytes in, a packet out. Pure.

use net_traffic_common::ProcessKey;
use net_traffic_common::packet::{PACKET_OUT, PACKET_TAGGED, PacketRecord};

use crate::packet::{Direction, Segments};

const HEAD: usize = size_of::<PacketRecord>();
/// A VLAN tag stands behind both addresses of a frame.
const ADDRESSES: usize = 12;
const TAG: u32 = 4;

/// A packet whose octets are somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) monotonic_ns: u64,
    pub(super) owner: Option<ProcessKey>,
    pub(super) ifindex: u32,
    pub(super) direction: Direction,
    pub(super) length: u32,
    pub(super) segments: Option<Segments>,
    /// Where its octets are.
    pub(super) begin: usize,
    pub(super) end: usize,
}

/// Only the time of a record.
pub(super) fn time_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |octets| u64::from_ne_bytes(*octets))
}

/// Reads a record and appends the packet's octets to `octets`, with the VLAN tag back in its place; `None` if the
/// record is shorter than it says.
pub(super) fn read(record: &[u8], octets: &mut Vec<u8>) -> Option<Head> {
    let word = |at: usize| Some(u32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_ne_bytes(record.get(at..at + 2)?.try_into().ok()?));
    let owner = u64::from_ne_bytes(record.get(8..16)?.try_into().ok()?);
    let (mut length, captured, ifindex, flags) = (word(16)?, word(20)?, word(24)?, word(28)?);
    let (tag, announced, segments, segment_size) = (half(32)?, half(34)?, half(36)?, half(38)?);
    let data = record.get(HEAD..HEAD.checked_add(captured as usize)?)?;
    let begin = octets.len();
    match data.split_at_checked(ADDRESSES) {
        Some((addresses, rest)) if flags & PACKET_TAGGED != 0 => {
            octets.extend(addresses);
            octets.extend(announced.to_be_bytes());
            octets.extend(tag.to_be_bytes());
            octets.extend(rest);
            length = length.saturating_add(TAG);
        }
        _ => octets.extend(data),
    }
    Some(Head {
        monotonic_ns: time_of(record),
        owner: Some(ProcessKey(owner)).filter(|key| key.pid() != 0),
        ifindex,
        direction: if flags & PACKET_OUT != 0 { Direction::Out } else { Direction::In },
        length,
        segments: (segments > 1).then(|| Segments { count: segments.into(), size: segment_size.into() }),
        begin,
        end: octets.len(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn record(flags: u32, captured: u32, data: &[u8]) -> Vec<u8> {
        let mut record = Vec::new();
        record.extend(5_u64.to_ne_bytes());
        record.extend(ProcessKey::new(42, 7).0.to_ne_bytes());
        for word in [100, captured, 3, flags] {
            record.extend(u32::to_ne_bytes(word));
        }
        for half in [0x2005_u16, 0x8100, 2, 1448] {
            record.extend(half.to_ne_bytes());
        }
        record.extend(data);
        record
    }

    #[test]
    fn the_tag_goes_back_behind_the_addresses() {
        let mut octets = vec![9];
        let data: Vec<u8> = (0..16).collect();
        let head = read(&record(PACKET_TAGGED | PACKET_OUT, 16, &data), &mut octets).unwrap();
        assert_eq!(
            octets[head.begin..head.end],
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x81, 0, 0x20, 5, 12, 13, 14, 15]
        );
        assert_eq!((head.length, head.direction, head.ifindex), (104, Direction::Out, 3));
        assert_eq!(head.owner, Some(ProcessKey::new(42, 7)));
        assert_eq!(head.segments, Some(Segments { count: 2, size: 1448 }));
    }

    #[test]
    fn a_record_that_promises_more_than_it_has_is_none() {
        assert_eq!(read(&record(0, 17, &[0; 16]), &mut Vec::new()), None);
        assert_eq!(read(&record(0, u32::MAX, &[0; 16]), &mut Vec::new()), None);
    }

    proptest! {
        #[test]
        fn garbage_does_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut octets = Vec::new();
            if let Some(head) = read(&bytes, &mut octets) {
                prop_assert!(head.begin <= head.end && head.end == octets.len());
            }
        }
    }
}
