//! Tests the reports of the packet monitor and the headers of packets.

use proptest::prelude::*;

use crate::events::ends::{PacketType, ends};
use crate::events::pktmon::{
    Appearance, Deduplicator, MAX_SNAPLEN, METADATA, Metadata, MissedCounter, RawReport, decode,
};
use pcap_io::Direction;

/// A report: the metadata, then the packet.
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

fn raw(data: &[u8]) -> RawReport<'_> {
    let packet_length = data.len().saturating_sub(METADATA);
    RawReport { data, metadata_offset: 0, packet_offset: METADATA, packet_length }
}

fn metadata_of(data: &[u8]) -> Metadata {
    decode(&raw(data)).unwrap().0
}

#[test]
fn report_has_direction_component_and_edge() {
    let data = report(4, 1, 12, 2, 0, b"frame");
    let (metadata, packet) = decode(&raw(&data)).unwrap();
    let expected = Metadata {
        direction: Some(Direction::Out),
        kind: PacketType::Ethernet,
        component: 12,
        edge: 2,
        drop_reason: 0,
        time: 133_000_000_000_000_000,
        length: 5,
    };
    assert_eq!((metadata, packet), (expected, &b"frame"[..]));
}

#[test]
fn direction_and_packet_type_numbers_are_decoded() {
    let directions = [None, Some(Direction::In), Some(Direction::Out)];
    for (number, at) in [(0, 0), (1, 1), (2, 2), (3, 1), (4, 2), (5, 1), (6, 2), (7, 0)] {
        assert_eq!(metadata_of(&report(number, 1, 1, 1, 0, b"")).direction, directions[at], "{number}");
    }
    for (number, kind) in
        [(1, PacketType::Ethernet), (2, PacketType::Wifi), (3, PacketType::Ip), (7, PacketType::Other(7))]
    {
        assert_eq!(metadata_of(&report(1, number, 1, 1, 0, b"")).kind, kind);
    }
    assert_eq!(metadata_of(&report(1, 1, 1, 1, 0xe000_9007, b"")).drop_reason, 0xe000_9007);
}

#[test]
fn parts_outside_the_data_are_rejected() {
    let data = report(1, 1, 1, 1, 0, b"frame");
    for length in 0..data.len() {
        let cut = RawReport { packet_length: 5, ..raw(&data[..length]) };
        assert_eq!(decode(&cut), None, "{length}");
    }
    let all = raw(&data);
    for (metadata_offset, packet_offset, packet_length) in
        [(6, 40, 5), (usize::MAX, 40, 5), (0, usize::MAX, 5), (0, 40, usize::MAX), (0, 41, 5)]
    {
        let outside = RawReport { metadata_offset, packet_offset, packet_length, ..all };
        assert_eq!(decode(&outside), None, "{outside:?}");
    }
}

/// Decodes the report of a truncated packet: its length and the number of its octets.
fn cut(kind: u16, link: &[u8], header: &[u8], reported: usize) -> Option<(u32, usize)> {
    let mut octets = [link, header].concat();
    octets.resize(MAX_SNAPLEN, 0);
    let data = report(1, kind, 1, 1, 0, &octets);
    let (metadata, packet) = decode(&RawReport { packet_length: reported, ..raw(&data) })?;
    Some((metadata.length, packet.len()))
}

#[test]
fn truncated_packet_keeps_its_length() {
    let v4 = [&[0x45, 0], &40_000_u16.to_be_bytes()[..]].concat();
    let v6 = [&[0x60, 0, 0, 0], &40_000_u16.to_be_bytes()[..]].concat();
    let link = |kind: u16| [&[2; 12], &kind.to_be_bytes()[..]].concat();
    // The reported length is that before truncation.
    assert_eq!(cut(1, &link(0x0800), &v4, 50_000), Some((50_000, MAX_SNAPLEN)));
    // The reported length is that after truncation, and the IP header has the original length.
    assert_eq!(cut(1, &link(0x0800), &v4, MAX_SNAPLEN), Some((40_014, MAX_SNAPLEN)));
    assert_eq!(cut(1, &link(0x86dd), &v6, MAX_SNAPLEN), Some((40_054, MAX_SNAPLEN)));
    assert_eq!(cut(3, &[], &v4, MAX_SNAPLEN), Some((40_000, MAX_SNAPLEN)));
    // The original length is unknown.
    assert_eq!(cut(1, &link(0x0806), &[], MAX_SNAPLEN), Some((8900, MAX_SNAPLEN)));
    assert_eq!(cut(3, &[], &[0x45, 0, 0, 0], MAX_SNAPLEN), Some((8900, MAX_SNAPLEN)));
    assert_eq!(cut(3, &[], &[0x60, 0, 0, 0, 0, 0], MAX_SNAPLEN), Some((8900, MAX_SNAPLEN)));
    // A complete packet includes its padding.
    let short = report(1, 3, 1, 1, 0, &[&v4[..], &[0; 60]].concat());
    assert_eq!(metadata_of(&short).length, 64);
}

#[test]
fn missed_packets_add_up_for_both_meanings() {
    let count = |numbers: &[u32]| {
        let missed = MissedCounter::default();
        let mut before = 0;
        for number in numbers {
            missed.update(*number);
            assert!(missed.count() >= before, "a loss does not shrink");
            before = missed.count();
        }
        before
    };
    assert_eq!(count(&[]), 0);
    assert_eq!(count(&[0, 3, 3, 3, 8, 8]), 8, "counted from the start");
    assert_eq!(count(&[0, 3, 0, 0, 5, 0, 2]), 10, "counted from the previous report");
    assert_eq!(count(&[3, 5, 0]), 8);
    assert_eq!(count(&[3, 3, 0]), 6);
}

#[test]
fn first_component_and_edge_of_an_adapter_count() {
    use Appearance::{First, Foreign, Repeated};
    let seen = |component, edge, reason| metadata_of(&report(1, 1, component, edge, reason, b""));
    let mut deduplicator = Deduplicator::new(vec![vec![12, 13], vec![20]]);
    assert_eq!(deduplicator.classify(&seen(30, 1, 0)), Foreign);
    assert_eq!(deduplicator.classify(&seen(12, 2, 5)), Repeated, "dropped");
    assert_eq!(deduplicator.classify(&seen(12, 3, 0)), First(0));
    assert_eq!(deduplicator.classify(&seen(12, 1, 0)), Repeated, "the other edge of the adapter");
    assert_eq!(deduplicator.classify(&seen(13, 3, 0)), Repeated, "the other component of the adapter");
    assert_eq!(deduplicator.classify(&seen(20, 1, 0)), First(1));
    assert_eq!(deduplicator.classify(&seen(12, 3, 0)), First(0));
}

#[test]
fn each_direction_may_count_at_another_edge() {
    let seen = |direction, component, edge| metadata_of(&report(direction, 1, component, edge, 0, b""));
    let mut deduplicator = Deduplicator::new(vec![vec![12, 13]]);
    for _ in 0..2 {
        assert_eq!(deduplicator.classify(&seen(3, 12, 1)), Appearance::First(0));
        assert_eq!(deduplicator.classify(&seen(4, 13, 2)), Appearance::First(0));
        assert_eq!(deduplicator.classify(&seen(4, 12, 1)), Appearance::Repeated);
        assert_eq!(deduplicator.classify(&seen(3, 13, 2)), Appearance::Repeated);
    }
}

proptest! {
    #[test]
    fn report_decodes_exactly_if_its_parts_fit(
        data in prop_oneof![octets(0..300), octets(MAX_SNAPLEN - 100..MAX_SNAPLEN + 300)],
        places in [0..200_usize, 0..200],
        packet_length in prop_oneof![0..200_usize, MAX_SNAPLEN - 100..MAX_SNAPLEN + 400],
    ) {
        let [metadata_offset, packet_offset] = places;
        let available = data.len().saturating_sub(packet_offset);
        let is_within = metadata_offset + METADATA <= data.len() && packet_offset <= data.len();
        let decoded = decode(&RawReport { data: &data, metadata_offset, packet_offset, packet_length });
        prop_assert_eq!(decoded.is_some(), is_within && (packet_length <= available || available >= MAX_SNAPLEN));
        if let Some((metadata, packet)) = decoded {
            prop_assert_eq!(packet.len(), packet_length.min(available));
            prop_assert!(metadata.length as usize >= packet_length);
            // Only the headers of a truncated packet may have a greater length.
            prop_assert!(packet.len() >= MAX_SNAPLEN || metadata.length as usize == packet_length);
            Deduplicator::new(vec![vec![metadata.component]]).classify(&metadata);
        }
    }
}

/// Up to 300 arbitrary octets, then zeros.
fn octets(length: std::ops::Range<usize>) -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(any::<u8>(), 300), length).prop_map(|(mut octets, length)| {
        octets.resize(length, 0);
        octets
    })
}

/// An IP packet with these ports.
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

fn shown(kind: PacketType, octets: &[u8]) -> Option<String> {
    let (protocol, source, destination) = ends(kind, octets)?;
    Some(format!("{protocol:?} {source} {destination}"))
}

#[test]
fn endpoints_are_read_from_the_headers() {
    let v4 = packet(4, 6, [1000, 2000]);
    let v6 = packet(6, 17, [53, 4000]);
    assert_eq!(shown(PacketType::Ip, &v4).unwrap(), "Tcp 192.0.2.1:1000 198.51.100.7:2000");
    assert_eq!(shown(PacketType::Ip, &v6).unwrap(), "Udp [2001:db8::1]:53 [2001:db8::2]:4000");
    let frame = |kinds: &[u16], rest: &[u8]| {
        let mut frame = vec![2; 12];
        for kind in kinds {
            frame.extend(kind.to_be_bytes());
        }
        frame.extend(rest);
        frame
    };
    assert_eq!(shown(PacketType::Ethernet, &frame(&[0x0800], &v4)), shown(PacketType::Ip, &v4));
    assert_eq!(shown(PacketType::Ethernet, &frame(&[0x8100, 7, 0x86dd], &v6)), shown(PacketType::Ip, &v6));
    assert_eq!(shown(PacketType::Ethernet, &frame(&[0x0806], &v4)), None);
    assert_eq!(shown(PacketType::Wifi, &v4), None);
    assert_eq!(shown(PacketType::Ip, &packet(4, 1, [0, 0])), None, "no ports");
    let mut fragment = v4.clone();
    fragment[7] = 1;
    assert_eq!(shown(PacketType::Ip, &fragment), None);
}

proptest! {
    #[test]
    fn arbitrary_packet_does_not_panic(octets: Vec<u8>, first: u8, cut: usize) {
        for kind in [PacketType::Ethernet, PacketType::Ip] {
            prop_assert!(octets.len() >= 20 || ends(kind, &octets).is_none());
            let mut whole = packet(4, 6, [1, 2]);
            whole[0] = first;
            whole.truncate(cut % whole.len());
            prop_assert!(whole.len() >= 20 || ends(kind, &whole).is_none());
        }
    }
}
