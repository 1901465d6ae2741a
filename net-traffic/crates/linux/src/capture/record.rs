//! Decodes the records of the ring: bytes in, a packet out. Pure.

use std::num::NonZeroU64;

use net_traffic_common::packet::{
    PACKET_CHECKSUM_PARTIAL, PACKET_CHECKSUM_VALID, PACKET_OUT, PACKET_TAGGED, PacketRecord,
};
use net_traffic_common::{Plain, ProcessKey};

use pcap_io::{Checksum, Direction, Segments};

const HEAD: usize = size_of::<PacketRecord>();
/// A VLAN tag stands behind both addresses of a frame.
const ADDRESSES: usize = 12;
const TAG: u32 = 4;

/// A packet whose octets are somewhere else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) monotonic_ns: u64,
    pub(super) owner: Option<NonZeroU64>,
    pub(super) ifindex: u32,
    pub(super) length: u32,
    /// Where its octets are.
    pub(super) begin: u32,
    pub(super) end: u32,
    pub(super) direction: Direction,
    pub(super) checksum: Option<Checksum>,
    segments: u16,
    segment_size: u16,
}

impl Head {
    pub(super) fn owner(&self) -> Option<ProcessKey> {
        self.owner.map(|owner| ProcessKey(owner.get())).filter(|key| key.pid() != 0)
    }

    pub(super) fn segments(&self) -> Option<Segments> {
        let (count, size) = (self.segments.into(), self.segment_size.into());
        (count > 1).then_some(Segments { count, size })
    }

    /// Its octets, where those of its batch are.
    pub(super) fn data<'o>(&self, octets: &'o [u8]) -> &'o [u8] {
        octets.get(self.begin as usize..self.end as usize).unwrap_or(&[])
    }
}

/// Only the time of a record.
pub(super) fn time_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |octets| u64::from_ne_bytes(*octets))
}

/// Reads a record and appends the packet's octets to `octets`, with the VLAN tag back in its place; `None` if the
/// record is shorter than it says.
pub(super) fn read(record: &[u8], octets: &mut Vec<u8>) -> Option<Head> {
    let head = PacketRecord::read_from(record)?;
    let data = record.get(HEAD..)?.get(..head.captured as usize)?;
    let mut length = head.length;
    let begin = octets.len();
    match data.split_at_checked(ADDRESSES) {
        Some((addresses, rest)) if head.flags & PACKET_TAGGED != 0 => {
            octets.extend_from_slice(addresses);
            octets.extend_from_slice(&head.vlan_type.to_be_bytes());
            octets.extend_from_slice(&head.vlan_tag.to_be_bytes());
            octets.extend_from_slice(rest);
            length = length.saturating_add(TAG);
        }
        _ => octets.extend_from_slice(data),
    }
    Some(Head {
        monotonic_ns: head.time_ns,
        owner: NonZeroU64::new(head.owner.0),
        ifindex: head.ifindex,
        length,
        begin: u32::try_from(begin).ok()?,
        end: u32::try_from(octets.len()).ok()?,
        direction: if head.flags & PACKET_OUT != 0 { Direction::Out } else { Direction::In },
        checksum: match head.flags & (PACKET_CHECKSUM_PARTIAL | PACKET_CHECKSUM_VALID) {
            PACKET_CHECKSUM_PARTIAL => Some(Checksum::NotReady),
            PACKET_CHECKSUM_VALID => Some(Checksum::Valid),
            _ => None,
        },
        segments: head.segments,
        segment_size: head.segment_size,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bytes as the kernel's object writes them, so that a test notices when fields of the struct change places.
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
        let flags = PACKET_TAGGED | PACKET_OUT | PACKET_CHECKSUM_PARTIAL;
        let head = read(&record(flags, 16, &data), &mut octets).unwrap();
        assert_eq!(
            head.data(&octets),
            [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0x81, 0, 0x20, 5, 12, 13, 14, 15]
        );
        assert_eq!((head.length, head.direction, head.ifindex), (104, Direction::Out, 3));
        assert_eq!(head.owner(), Some(ProcessKey::new(42, 7)));
        assert_eq!(head.checksum, Some(Checksum::NotReady));
        assert_eq!(head.segments(), Some(Segments { count: 2, size: 1448 }));
    }

    #[test]
    fn each_field_of_a_record_is_read_from_its_place() {
        let mut octets = Vec::new();
        let head = read(&record(PACKET_CHECKSUM_VALID, 2, &[8, 9]), &mut octets).unwrap();
        let expected = Head {
            monotonic_ns: 5,
            owner: NonZeroU64::new(42 << 32 | 7),
            ifindex: 3,
            length: 100,
            begin: 0,
            end: 2,
            direction: Direction::In,
            checksum: Some(Checksum::Valid),
            segments: 2,
            segment_size: 1448,
        };
        assert_eq!(head, expected);
        assert_eq!(time_of(&record(0, 0, &[])), 5);
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
                prop_assert!(head.begin <= head.end && head.end as usize == octets.len());
            }
        }
    }
}
