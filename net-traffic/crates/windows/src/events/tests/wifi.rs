//! Frames of the air.

use proptest::prelude::*;

use crate::events::pktmon::{Kind, MOST, Metadata};
use crate::events::wifi::{NoPacket, to_ethernet};

const DATA: u8 = 0x08;
const QOS: u8 = 0x88;
const FROM_NETWORK: u8 = 0x02;
const ENCIPHERED: u8 = 0x40;
/// What LLC and SNAP say before a packet of IPv4.
const IPV4: [u8; 8] = [0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00];

/// A frame with the addresses 1, 2 and 3, what follows them, and what it carries.
fn frame(control: u8, flags: u8, more: &[u8], payload: &[u8]) -> Vec<u8> {
    let fixed: &[&[u8]] = &[&[control, flags, 0, 0], &[1; 6], &[2; 6], &[3; 6], &[0x10, 0x20]];
    [&fixed.concat(), more, payload].concat()
}

fn seen(frame: &[u8]) -> Result<(Metadata, Vec<u8>), NoPacket> {
    let mut metadata = Metadata {
        direction: None,
        kind: Kind::Wifi,
        component: 1,
        edge: 1,
        drop_reason: 0,
        time: 0,
        length: u32::try_from(frame.len()).unwrap(),
    };
    let mut octets = frame.to_vec();
    let before = (metadata, octets.clone());
    let result = to_ethernet(&mut metadata, &mut octets);
    assert!(result.is_ok() || before == (metadata, octets.clone()), "nothing has changed");
    result.map(|()| (metadata, octets))
}

/// What Ethernet has for it, which must say how long it is.
fn ethernet(frame: &[u8]) -> Vec<u8> {
    let (metadata, octets) = seen(frame).unwrap();
    assert_eq!((metadata.kind, metadata.length as usize), (Kind::Ethernet, octets.len()));
    octets
}

fn expected(destination: u8, source: u8, kind: [u8; 2], rest: &[u8]) -> Vec<u8> {
    [&[destination; 6], &[source; 6], &kind[..], rest].concat()
}

#[test]
fn a_frame_has_the_addresses_of_its_way() {
    let payload = [&IPV4[..], b"packet"].concat();
    for (flags, more, destination, source) in
        [(0, &[][..], 1, 2), (1, &[], 3, 2), (2, &[], 1, 3), (3, &[4; 6][..], 3, 4)]
    {
        let octets = ethernet(&frame(DATA, flags, more, &payload));
        assert_eq!(octets, expected(destination, source, [8, 0], b"packet"), "{flags}");
    }
}

#[test]
fn what_stands_between_header_and_payload_is_passed_over() {
    let payload = [&IPV4[..], b"packet"].concat();
    let as_expected = expected(1, 3, [8, 0], b"packet");
    for (control, flags, more) in [
        (QOS, 0, &[7, 0][..]),
        // With the field for more control.
        (QOS, 0x80, &[7, 0, 0, 0, 0, 0]),
        // The mark of a cipher that was taken off, with its numbers or without.
        (DATA, ENCIPHERED, &[]),
        (DATA, ENCIPHERED, &[9; 8]),
        (QOS, ENCIPHERED, &[7, 0, 9, 9, 9, 9, 9, 9, 9, 9]),
        (DATA, ENCIPHERED, &[9; 4]),
        // Sent again, more to come, asleep.
        (DATA, 0x38, &[]),
    ] {
        let octets = ethernet(&frame(control, flags | FROM_NETWORK, more, &payload));
        assert_eq!(octets, as_expected, "{control:#x} {flags:#x}");
    }
    // IPX and AppleTalk have an organisation of their own.
    let bridged = [0xaa, 0xaa, 3, 0, 0, 0xf8, 0x81, 0x37, 5];
    assert_eq!(ethernet(&frame(DATA, FROM_NETWORK, &[], &bridged)), expected(1, 3, [0x81, 0x37], &[5]));
}

#[test]
fn without_a_protocol_it_is_a_frame_with_a_length() {
    let bridges = [0x42, 0x42, 3, 0, 0];
    assert_eq!(ethernet(&frame(DATA, FROM_NETWORK, &[], &bridges)), expected(1, 3, [0, 5], &bridges));
    assert_eq!(seen(&frame(DATA, FROM_NETWORK, &[], &[0x42; 1501])), Err(NoPacket::Unreadable));
    assert_eq!(seen(&frame(DATA, FROM_NETWORK, &[], &[0x42; 2])), Err(NoPacket::Unreadable));
}

#[test]
fn what_carries_nothing_is_told_from_what_cannot_be_read() {
    let packet = [&IPV4[..], b"packet"].concat();
    // A beacon, an acknowledgement, data without any, with and without quality of service; and an empty body.
    for control in [0x80, 0xd4, 0x48, 0xc8] {
        assert_eq!(seen(&frame(control, 0, &[0, 0], &packet)), Err(NoPacket::Management), "{control:#x}");
    }
    assert_eq!(seen(&[0xd4, 0]), Err(NoPacket::Management));
    assert_eq!(seen(&frame(DATA, 0, &[], &[])), Err(NoPacket::Management));
    let mut fragment = frame(DATA, FROM_NETWORK, &[], &packet);
    fragment[22] |= 1;
    for unreadable in [
        fragment,
        // Another version; several packets in one; enciphered still.
        frame(DATA | 1, FROM_NETWORK, &[], &packet),
        frame(QOS, FROM_NETWORK, &[0x87, 0], &packet),
        frame(DATA, FROM_NETWORK | ENCIPHERED, &[], &[0x5a; 100]),
    ] {
        assert_eq!(seen(&unreadable), Err(NoPacket::Unreadable), "{unreadable:?}");
    }
    let whole = frame(QOS, 3, &[4, 4, 4, 4, 4, 4, 0, 0], &packet);
    for length in 0..whole.len() - packet.len() {
        assert_eq!(seen(&whole[..length]), Err(NoPacket::Unreadable), "{length}");
    }
}

#[test]
fn a_long_frame_that_the_monitor_cut_keeps_its_length() {
    let header = [&[0x45, 0][..], &40_000_u16.to_be_bytes()].concat();
    let mut whole = frame(DATA, FROM_NETWORK, &[], &[&IPV4[..], &header].concat());
    whole.resize(MOST, 0);
    let (metadata, octets) = seen(&whole).unwrap();
    assert_eq!((metadata.length, octets.len()), (40_014, MOST - 18));
}

proptest! {
    #[test]
    fn no_frame_makes_it_panic(octets: Vec<u8>, control: u8, flags: u8, begin in 0..60_usize) {
        let frame = frame(control, flags, &vec![0; begin], &octets);
        for length in [frame.len(), frame.len().min(begin)] {
            if let Ok((metadata, after)) = seen(&frame[..length]) {
                prop_assert_eq!(metadata.length as usize, after.len());
                prop_assert!(after.len() >= 14 && after.len() <= length);
            }
        }
    }
}
