//! Reports of the packet monitor, made by hand, through the callback, the filter and the ledger.

use super::monitor::by_hand::Reporter;
use super::*;
use crate::packet::{Direction, Missed};
use crate::source::etw::pktmon::MOST;

/// A report of a component at an edge: the description, then a frame of UDP between these ports.
fn report(component: u16, edge: u16, direction: u16, ports: [u16; 2], payload: &[u8]) -> Vec<u8> {
    let mut octets = vec![0; 12];
    for field in [direction, 1, component, edge, 0, 0, 0, 0, 0, 0] {
        octets.extend(field.to_le_bytes());
    }
    octets.extend(133_000_000_000_000_000_i64.to_le_bytes());
    octets.extend([2; 12]);
    octets.extend([0x08, 0x00]);
    octets.extend([0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 192, 0, 2, 1, 198, 51, 100, 7]);
    octets.extend(ports.map(u16::to_be_bytes).concat());
    octets.extend(u16::try_from(payload.len() + 8).unwrap().to_be_bytes());
    octets.extend([0, 0]);
    octets.extend(payload);
    octets
}

fn capture(options: &LiveCaptureOptions, filter: &str, packets: Packets) -> LiveCapture {
    let adapter = |component, name: &str| {
        let interface = Interface {
            index: 0,
            name: Some(name.to_owned()),
            description: None,
            link: LinkType::ETHERNET,
            snaplen: options.snaplen,
            filter: None,
            missed: Missed::default(),
        };
        (Adapter { components: vec![component], ..Adapter::default() }, interface)
    };
    let (adapters, interfaces) = [adapter(7, "one"), adapter(8, "two")].into_iter().unzip();
    LiveCapture::of(options, packets, UserFilter::new(filter.to_owned(), true), adapters, interfaces)
}

fn options() -> LiveCaptureOptions {
    LiveCaptureOptions { snaplen: 262_144, ..LiveCaptureOptions::default() }
}

#[test]
fn each_packet_comes_once_filtered_here_and_the_ledger_adds_up() {
    let (mut reporter, packets) = Reporter::new(100);
    let mut capture = capture(&options(), "udp port 53", packets);
    for number in 0..10_u8 {
        // At both edges of the adapter, in a filter above it, and on another adapter.
        for (component, edge) in [(7, 1), (7, 2), (30, 1), (8, 5)] {
            reporter.report(&report(component, edge, 4, [4000, 53], &[number]), 0, 0);
            reporter.report(&report(component, edge, 4, [4000, 54], &[number]), 0, 0);
        }
    }
    reporter.report(&report(7, 1, 3, [53, 4000], b"x"), 0, 2);
    let mut seen = Vec::new();
    let mut take = |interfaces: &[Interface], packet: &Packet<'_>| {
        assert_eq!(packet.time_ns, 1_655_526_400_000_000_000);
        let name = interfaces[packet.interface].name.clone().unwrap();
        seen.push((name, packet.direction, *packet.data.last().unwrap()));
        ControlFlow::Continue(())
    };
    assert_eq!(capture.next(&mut take), None);
    capture.finish(Some(&mut take));
    for name in ["one", "two"] {
        let sent: Vec<u8> =
            seen.iter().filter(|it| it.0 == name && it.1 == Some(Direction::Out)).map(|it| it.2).collect();
        assert_eq!(sent, (0..10).collect::<Vec<u8>>(), "{name}");
    }
    assert_eq!(seen.len(), 21);
    let ledger = capture.ledger();
    assert_eq!((ledger.received, ledger.ring_full, ledger.dropped()), (23, 2, 2));
}

#[test]
fn direction_snaplen_and_an_end_hold() {
    let (mut reporter, packets) = Reporter::new(100);
    let options = LiveCaptureOptions { snaplen: 20, direction: Some(Direction::In), ..options() };
    let mut capture = capture(&options, "", packets);
    for _ in 0..5 {
        reporter.report(&report(7, 1, 3, [53, 4000], b"answer"), 0, 0);
        reporter.report(&report(7, 1, 4, [4000, 53], b"question"), 0, 0);
    }
    let mut taken = 0;
    let mut take = |_: &[Interface], packet: &Packet<'_>| {
        assert_eq!((packet.data.len(), packet.length, packet.direction), (20, 48, Some(Direction::In)));
        taken += 1;
        if taken == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(capture.next(&mut take), Some(End::Enough));
    capture.finish(None);
    assert_eq!((taken, capture.ledger().received, capture.ledger().left_over), (2, 5, 3));
}

#[test]
fn packets_of_the_air_and_of_ip_have_interfaces_of_their_own() {
    let (mut reporter, packets) = Reporter::new(100);
    let mut capture = capture(&options(), "", packets);
    for kind in [1_u16, 2, 3, 7] {
        let mut octets = report(7, 1, 3, [1, 2], b"");
        octets[14..16].copy_from_slice(&kind.to_le_bytes());
        reporter.report(&octets, 0, 0);
    }
    let mut links = Vec::new();
    capture.finish(Some(&mut |interfaces, packet| {
        links.push(interfaces[packet.interface].link.0);
        ControlFlow::Continue(())
    }));
    assert_eq!(links, [1, 105, 101]);
}

#[test]
fn a_packet_that_the_monitor_cut_keeps_its_length_through_filter_and_snaplen() {
    let (mut reporter, packets) = Reporter::new(100);
    let options = LiveCaptureOptions { snaplen: 100, ..options() };
    let mut capture = capture(&options, "greater 20000", packets);
    // The headers say 30 000 octets of IP; the monitor cut it.
    let mut octets = report(7, 1, 4, [4000, 53], &[7; 10_000]);
    octets[40 + 14 + 2..][..2].copy_from_slice(&30_000_u16.to_be_bytes());
    octets.truncate(40 + MOST);
    reporter.report(&octets, 0, 0);
    reporter.report(&report(7, 1, 4, [4000, 53], &[7; 8000]), 0, 0);
    let mut seen = Vec::new();
    capture.finish(Some(&mut |_, packet| {
        seen.push((packet.length, packet.data.len()));
        ControlFlow::Continue(())
    }));
    assert_eq!(seen, [(30_014, 100)]);
}

#[test]
fn a_million_packets_at_once_are_taken_or_said_to_be_lost() {
    const ALL: u64 = 1_000_000;
    const ROOM: usize = 4096;
    let (mut reporter, packets) = Reporter::new(ROOM);
    let mut capture = capture(&options(), "", packets);
    let octets = report(7, 1, 4, [4000, 53], b"x");
    for _ in 0..ALL {
        reporter.report(&octets, 0, 0);
    }
    let mut taken = 0;
    capture.finish(Some(&mut |_, _| {
        taken += 1;
        ControlFlow::Continue(())
    }));
    let ledger = capture.ledger();
    assert_eq!((taken, ledger.queue_full), (ROOM as u64, ALL - ROOM as u64));
    assert_eq!((ledger.received, ledger.ring_full, ledger.copy_failed), (ALL, 0, 0));
}

#[test]
fn a_million_packets_beside_a_reader_come_to_the_exact_sum() {
    const ALL: u64 = 1_000_000;
    let (mut reporter, packets) = Reporter::new(1 << 14);
    let mut capture = capture(&options(), "", packets);
    let writer = std::thread::spawn(move || {
        let octets = report(7, 1, 4, [4000, 53], &[1, 2, 3]);
        for number in 0..ALL {
            // What the monitor says that it missed, it says once for ten.
            reporter.report(&octets, 0, u32::from(number % 1000 == 999) * 10);
        }
        // With it the queue would get its end.
        reporter
    });
    let (mut taken, mut bytes) = (0, 0);
    let mut take = |_: &[Interface], packet: &Packet<'_>| {
        taken += 1;
        bytes += u64::from(packet.length);
        ControlFlow::Continue(())
    };
    while !writer.is_finished() {
        assert_eq!(capture.next(&mut take), None);
    }
    let _reporter = writer.join().unwrap();
    capture.finish(Some(&mut take));
    let ledger = capture.ledger();
    assert_eq!(bytes, taken * 45);
    assert_eq!(taken + ledger.queue_full, ALL);
    assert_eq!((ledger.ring_full, ledger.received), (ALL / 1000 * 10, ALL + ALL / 1000 * 10));
}
