//! What the packet monitor hands over.

use proptest::prelude::*;

use crate::events::ends::ends;
use crate::events::pktmon::{Kind, METADATA, MOST, Metadata, Missed, Once, Parts, Sight, decode};
use pcap_io::Direction;

/// A report as the monitor lays it out: the description, then the packet.
fn report(direction: u16, kind: u16, component: u16, edge: u16, drop_reason: u32, packet: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 12];
    for field in [direction, kind, component, edge, 0] {
        octets.extend(field.to_le_bytes());
    }
    octets.extend(drop_reason.to_le_bytes());
    octets.extend([0; 6]);
    octets.extend(133_000_000_000_000_000_i64.to_le_bytes());
    assert_eq!(octets.len(), METADATA);
    octets.extend(packet);
    octets
}

fn parts(data: &[u8]) -> Parts<'_> {
    let packet_length = data.len().saturating_sub(METADATA);
    Parts { data, metadata_offset: 0, packet_offset: METADATA, packet_length }
}

fn described(data: &[u8]) -> Metadata {
    decode(&parts(data)).unwrap().0
}

#[test]
fn a_report_says_where_a_packet_passed() {
    let data = report(4, 1, 12, 2, 0, b"frame");
    let (metadata, packet) = decode(&parts(&data)).unwrap();
    let expected = Metadata {
        direction: Some(Direction::Out),
        kind: Kind::Ethernet,
        component: 12,
        edge: 2,
        drop_reason: 0,
        time: 133_000_000_000_000_000,
        length: 5,
    };
    assert_eq!((metadata, packet), (expected, &b"frame"[..]));
}

#[test]
fn directions_and_kinds_are_those_of_the_monitor() {
    let directions = [None, Some(Direction::In), Some(Direction::Out)];
    for (number, at) in [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2), (5, 1), (6, 2), (7, 0)] {
        assert_eq!(described(&report(number, 1, 1, 1, 0, b"")).direction, directions[at], "{number}");
    }
    for (number, kind) in [(1, Kind::Ethernet), (2, Kind::Wifi), (3, Kind::Ip), (7, Kind::Other(7))] {
        assert_eq!(described(&report(1, number, 1, 1, 0, b"")).kind, kind);
    }
    assert_eq!(described(&report(1, 1, 1, 1, 0xe000_9007, b"")).drop_reason, 0xe000_9007);
}

#[test]
fn parts_that_lie_outside_are_no_packet() {
    let data = report(1, 1, 1, 1, 0, b"frame");
    for length in 0..data.len() {
        let cut = Parts { packet_length: 5, ..parts(&data[..length]) };
        assert_eq!(decode(&cut), None, "{length}");
    }
    let all = parts(&data);
    for (metadata_offset, packet_offset, packet_length) in
        [(6, 40, 5), (usize::MAX, 40, 5), (0, usize::MAX, 5), (0, 40, usize::MAX), (0, 41, 5)]
    {
        let outside = Parts { metadata_offset, packet_offset, packet_length, ..all };
        assert_eq!(decode(&outside), None, "{outside:?}");
    }
}

/// A report of a packet of IP, cut as the monitor cuts it, and decoded.
fn cut(kind: u16, link: &[u8], header: &[u8], said: usize) -> Option<(u32, usize)> {
    let mut octets = [link, header].concat();
    octets.resize(MOST, 0);
    let data = report(1, kind, 1, 1, 0, &octets);
    let (metadata, packet) = decode(&Parts { packet_length: said, ..parts(&data) })?;
    Some((metadata.length, packet.len()))
}

#[test]
fn a_packet_that_was_cut_keeps_its_length() {
    let v4 = [&[0x45, 0], &40_000_u16.to_be_bytes()[..]].concat();
    let v6 = [&[0x60, 0, 0, 0], &40_000_u16.to_be_bytes()[..]].concat();
    let link = |kind: u16| [&[2; 12], &kind.to_be_bytes()[..]].concat();
    // The monitor tells the length before it was cut.
    assert_eq!(cut(1, &link(0x0800), &v4, 50_000), Some((50_000, MOST)));
    // It tells what is left, and the headers tell the rest.
    assert_eq!(cut(1, &link(0x0800), &v4, MOST), Some((40_014, MOST)));
    assert_eq!(cut(1, &link(0x86dd), &v6, MOST), Some((40_054, MOST)));
    assert_eq!(cut(3, &[], &v4, MOST), Some((40_000, MOST)));
    // Nobody tells.
    assert_eq!(cut(1, &link(0x0806), &[], MOST), Some((8900, MOST)));
    assert_eq!(cut(3, &[], &[0x45, 0, 0, 0], MOST), Some((8900, MOST)));
    assert_eq!(cut(3, &[], &[0x60, 0, 0, 0, 0, 0], MOST), Some((8900, MOST)));
    // One that was not cut is as long as it is, padding included.
    let short = report(1, 3, 1, 1, 0, &[&v4[..], &[0; 60]].concat());
    assert_eq!(described(&short).length, 64);
}

#[test]
fn what_was_missed_adds_up_whichever_way_it_is_told() {
    let count = |numbers: &[u32]| {
        let missed = Missed::default();
        let mut before = 0;
        for number in numbers {
            missed.hear(*number);
            assert!(missed.count() >= before, "a loss does not shrink");
            before = missed.count();
        }
        before
    };
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&[0, 3, 3, 3, 8, 8]), 8, "from the beginning");
    assert_eq!(count(&[0, 3, 0, 0, 5, 0, 2]), 10, "from the report before");
    assert_eq!(count(&[3, 5, 0]), 8);
    assert_eq!(count(&[3, 3, 0]), 6);
}

#[test]
fn a_packet_counts_where_it_is_seen_first() {
    use Sight::{First, Foreign, Repeated};
    let seen = |component, edge, reason| described(&report(1, 1, component, edge, reason, b""));
    let mut once = Once::new(vec![vec![12, 13], vec![20]]);
    assert_eq!(once.see(&seen(30, 1, 0)), Foreign);
    assert_eq!(once.see(&seen(12, 2, 5)), Repeated, "dropped, and no place to count at");
    assert_eq!(once.see(&seen(12, 3, 0)), First(0));
    assert_eq!(once.see(&seen(12, 1, 0)), Repeated, "the other side of the adapter");
    assert_eq!(once.see(&seen(13, 3, 0)), Repeated, "the same adapter by its other number");
    assert_eq!(once.see(&seen(20, 1, 0)), First(1));
    assert_eq!(once.see(&seen(12, 3, 0)), First(0));
}

#[test]
fn an_adapter_may_report_each_direction_at_another_place() {
    let seen = |direction, component, edge| described(&report(direction, 1, component, edge, 0, b""));
    let mut once = Once::new(vec![vec![12, 13]]);
    for _ in 0..2 {
        assert_eq!(once.see(&seen(3, 12, 1)), Sight::First(0));
        assert_eq!(once.see(&seen(4, 13, 2)), Sight::First(0));
        assert_eq!(once.see(&seen(4, 12, 1)), Sight::Repeated);
        assert_eq!(once.see(&seen(3, 13, 2)), Sight::Repeated);
    }
}

proptest! {
    #[test]
    fn octets_are_a_packet_exactly_where_its_parts_lie_within_them(
        data in prop_oneof![octets(0..300), octets(MOST - 100..MOST + 300)],
        places in [0..200_usize, 0..200],
        packet_length in prop_oneof![0..200_usize, MOST - 100..MOST + 400],
    ) {
        let [metadata_offset, packet_offset] = places;
        let there = data.len().saturating_sub(packet_offset);
        let is_within = metadata_offset + METADATA <= data.len() && packet_offset <= data.len();
        let decoded = decode(&Parts { data: &data, metadata_offset, packet_offset, packet_length });
        prop_assert_eq!(decoded.is_some(), is_within && (packet_length <= there || there >= MOST));
        if let Some((metadata, packet)) = decoded {
            prop_assert_eq!(packet.len(), packet_length.min(there));
            prop_assert!(metadata.length as usize >= packet_length);
            // Only where it may have been cut may its headers say more.
            prop_assert!(packet.len() >= MOST || metadata.length as usize == packet_length);
            Once::new(vec![vec![metadata.component]]).see(&metadata);
        }
    }
}

/// Any, with zeros behind the first.
fn octets(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(any::<u8>(), 300), length).prop_map(|(mut octets, length)| {
        octets.resize(length, 0);
        octets
    })
}

/// A packet of IP with these ports.
fn packet(version: u8, protocol: u8, ports: [u16; 2]) -> Vec<u8> {
    let mut octets = if version == 4 {
        let mut header = vec![0x46; 1];
        header.extend([0; 8]);
        header.push(protocol);
        header.extend([0, 0, 192, 0, 2, 1, 198, 51, 100, 7]);
        header.extend([1; 4]);
        header
    } else {
        let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
        header.extend("2001:db8::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
        header.extend("2001:db8::2".parse::<std::net::Ipv6Addr>().unwrap().octets());
        header
    };
    octets.extend(ports.map(u16::to_be_bytes).concat());
    octets.extend(b"payload");
    octets
}

fn shown(kind: Kind, octets: &[u8]) -> Option<String> {
    let (protocol, source, destination) = ends(kind, octets)?;
    Some(format!("{protocol:?} {source} {destination}"))
}

#[test]
fn the_ends_of_a_packet_are_read_from_its_headers() {
    let v4 = packet(4, 6, [1000, 2000]);
    let v6 = packet(6, 17, [53, 4000]);
    assert_eq!(shown(Kind::Ip, &v4).unwrap(), "Tcp 192.0.2.1:1000 198.51.100.7:2000");
    assert_eq!(shown(Kind::Ip, &v6).unwrap(), "Udp [2001:db8::1]:53 [2001:db8::2]:4000");
    let frame = |kinds: &[u16], rest: &[u8]| {
        let mut frame = vec![2; 12];
        for kind in kinds {
            frame.extend(kind.to_be_bytes());
        }
        frame.extend(rest);
        frame
    };
    assert_eq!(shown(Kind::Ethernet, &frame(&[0x0800], &v4)), shown(Kind::Ip, &v4));
    assert_eq!(shown(Kind::Ethernet, &frame(&[0x8100, 7, 0x86dd], &v6)), shown(Kind::Ip, &v6));
    assert_eq!(shown(Kind::Ethernet, &frame(&[0x0806], &v4)), None);
    assert_eq!(shown(Kind::Wifi, &v4), None);
    assert_eq!(shown(Kind::Ip, &packet(4, 1, [0, 0])), None, "no ports");
    let mut fragment = v4.clone();
    fragment[7] = 1;
    assert_eq!(shown(Kind::Ip, &fragment), None);
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(octets: Vec<u8>, first: u8, cut: usize) {
        for kind in [Kind::Ethernet, Kind::Ip] {
            prop_assert!(octets.len() >= 20 || ends(kind, &octets).is_none());
            let mut whole = packet(4, 6, [1, 2]);
            whole[0] = first;
            whole.truncate(cut % whole.len());
            prop_assert!(whole.len() >= 20 || ends(kind, &whole).is_none());
        }
    }
}
