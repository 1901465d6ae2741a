//! Tests the conversion of 802.11 frames.

use proptest::prelude::*;

use crate::events::ends::PacketType;
use crate::events::pktmon::{MAX_SNAPLEN, Metadata};
use crate::events::wifi::{WifiError, to_ethernet};

const DATA: u8 = 0x08;
const QOS: u8 = 0x88;
const FROM_DS: u8 = 0x02;
const PROTECTED: u8 = 0x40;
/// The LLC/SNAP header of an IPv4 packet.
const IPV4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00];

/// A frame with the addresses 1, 2 and 3, further header fields, and a payload.
fn frame(control: u8, flags: u8, more: &[u8], payload: &[u8]) -> Vec<u8> {
    let fixed: &[&[u8]] = &[&[control, flags, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0x10, 0x20]];
    [&fixed.concat(), more, payload].concat()
}

fn seen(frame: &[u8]) -> Result<(Metadata, Vec<u8>), WifiError> {
    let mut metadata = Metadata {
        direction: None,
        kind: PacketType::Wifi,
        component: 1,
        edge: 1,
        drop_reason: 0,
        time: 0,
        length: u32::try_from(frame.len()).unwrap(),
    };
    let mut octets = frame.to_vec();
    let before = (metadata, octets.clone());
    let result = to_ethernet(&mut metadata, &mut octets);
    assert!(result.is_ok() || before == (metadata, octets.clone()), "an error changes nothing");
    result.map(|()| (metadata, octets))
}

/// The Ethernet frame, whose metadata must have its length.
fn ethernet(frame: &[u8]) -> Vec<u8> {
    let (metadata, octets) = seen(frame).unwrap();
    assert_eq!((metadata.kind, metadata.length as usize), (PacketType::Ethernet, octets.len()));
    octets
}

fn expected(destination: u8, source: u8, kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    [&[destination; 6], &[source; 6], &kind[..], rest].concat()
}

#[test]
fn addresses_follow_the_ds_bits() {
    let payload = [&IPV4[..], b"packet"].concat();
    for (flags, more, destination, source) in
        [(0, &[][..], 1, 2), (1, &[], 3, 2), (2, &[], 1, 3), (3, &[4; 6][..], 3, 4)]
    {
        let octets = ethernet(&frame(DATA, flags, more, &payload));
        assert_eq!(octets, expected(destination, source, [8, 0], b"packet"), "{flags}");
    }
}

#[test]
fn optional_headers_are_skipped() {
    let payload = [&IPV4[..], b"packet"].concat();
    let as_expected = expected(1, 3, [8, 0], b"packet");
    for (control, flags, more) in [
        (QOS, 0, &[7, 0][..]),
        // With HT Control.
        (QOS, 0x80, &[7, 0, 0, 0, 0, 0]),
        // Protected Frame bit of a decrypted frame, without and with the cipher's header.
        (DATA, PROTECTED, &[]),
        (DATA, PROTECTED, &[9; 8]),
        (QOS, PROTECTED, &[7, 0, 9, 9, 9, 9, 9, 9, 9, 9]),
        (DATA, PROTECTED, &[9; 4]),
        // Retry, Power Management, More Data.
        (DATA, 0x38, &[]),
    ] {
        let octets = ethernet(&frame(control, flags | FROM_DS, more, &payload));
        assert_eq!(octets, as_expected, "{control:#x} {flags:#x}");
    }
    // IPX and AppleTalk use the bridge-tunnel encapsulation, OUI 00-00-f8.
    let bridged = [0xaa, 0xaa, 3, 0, 0, 0xf8, 0x81, 0x37, 5];
    assert_eq!(ethernet(&frame(DATA, FROM_DS, &[], &bridged)), expected(1, 3, [0x81, 0x37], &[5]));
}

#[test]
fn frame_without_snap_gets_a_length() {
    let bpdu = [0x42, 0x42, 3, 0, 0];
    assert_eq!(ethernet(&frame(DATA, FROM_DS, &[], &bpdu)), expected(1, 3, [0, 5], &bpdu));
    assert_eq!(seen(&frame(DATA, FROM_DS, &[], &[0x42; 1501])), Err(WifiError::Unreadable));
    assert_eq!(seen(&frame(DATA, FROM_DS, &[], &[0x42; 2])), Err(WifiError::Unreadable));
}

#[test]
fn management_frames_differ_from_unreadable_ones() {
    let packet = [&IPV4[..], b"packet"].concat();
    // Beacon, Ack, Null, QoS Null; and an empty body.
    for control in [0x80, 0xd4, 0x48, 0xc8] {
        assert_eq!(seen(&frame(control, 0, &[0, 0], &packet)), Err(WifiError::Management), "{control:#x}");
    }
    assert_eq!(seen(&[0xd4, 0]), Err(WifiError::Management));
    assert_eq!(seen(&frame(DATA, 0, &[], &[])), Err(WifiError::Management));
    let mut fragment = frame(DATA, FROM_DS, &[], &packet);
    fragment[22] |= 1;
    for unreadable in [
        fragment,
        // Protocol version 1; A-MSDU; encrypted.
        frame(DATA | 1, FROM_DS, &[], &packet),
        frame(QOS, FROM_DS, &[0x87, 0], &packet),
        frame(DATA, FROM_DS | PROTECTED, &[], &[0x5a; 100]),
    ] {
        assert_eq!(seen(&unreadable), Err(WifiError::Unreadable), "{unreadable:?}");
    }
    let whole = frame(QOS, 3, &[4, 4, 4, 4, 4, 4, 0, 0], &packet);
    for length in 0..whole.len() - packet.len() {
        assert_eq!(seen(&whole[..length]), Err(WifiError::Unreadable), "{length}");
    }
}

#[test]
fn truncated_frame_keeps_its_length() {
    let header = [&[0x45, 0][..], &40_000_u16.to_be_bytes()].concat();
    let mut whole = frame(DATA, FROM_DS, &[], &[&IPV4[..], &header].concat());
    whole.resize(MAX_SNAPLEN, 0);
    let (metadata, octets) = seen(&whole).unwrap();
    assert_eq!((metadata.length, octets.len()), (40_014, MAX_SNAPLEN - 18));
}

proptest! {
    #[test]
    fn arbitrary_frame_does_not_panic(octets: Vec<u8>, control: u8, flags: u8, begin in 0..60_usize) {
        let frame = frame(control, flags, &vec![0; begin], &octets);
        for length in [frame.len(), frame.len().min(begin)] {
            if let Ok((metadata, after)) = seen(&frame[..length]) {
                prop_assert_eq!(metadata.length as usize, after.len());
                prop_assert!(after.len() >= 14 && after.len() <= length);
            }
        }
    }
}
