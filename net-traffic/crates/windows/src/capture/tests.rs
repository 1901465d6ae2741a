//! Captures from a fake packet monitor. Its reports pass through the real callback and the filter; the ledger counts
//! them.

use super::api::{FATAL_ERROR, PROCESS_INFO};
use super::callbacks::fake_monitor::FakeMonitor;
use super::*;
use crate::events::pktmon::MAX_SNAPLEN;
use pcap_io::{Direction, Missed};

/// A packet report of the monitor: the metadata, then an Ethernet frame with a UDP datagram between these ports.
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

fn capture(options: &LiveCaptureOptions, filter: &str, packets: PacketQueue) -> LiveCapture {
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
    let (adapters, interfaces): (Vec<_>, _) = [adapter(7, "one"), adapter(8, "two")].into_iter().unzip();
    LiveCapture::with_packets(
        options,
        packets,
        UserFilter::new(filter.to_owned(), true),
        &adapters,
        interfaces,
    )
}

fn options() -> LiveCaptureOptions {
    LiveCaptureOptions { snaplen: 262_144, ..LiveCaptureOptions::default() }
}

#[test]
fn each_packet_is_passed_once() {
    let (mut monitor, packets) = FakeMonitor::new(100);
    let mut capture = capture(&options(), "udp port 53", packets);
    for number in 0..10_u8 {
        // One packet has reports from both edges of adapter 7 and from filter driver 30. Adapter 8 has a second packet.
        for (component, edge) in [(7, 1), (7, 2), (30, 1), (8, 5)] {
            monitor.report(&report(component, edge, 4, [4000, 53], &[number]), 0, 0);
            monitor.report(&report(component, edge, 4, [4000, 54], &[number]), 0, 0);
        }
    }
    monitor.report(&report(7, 1, 3, [53, 4000], b"x"), 0, 2);
    let mut seen = Vec::new();
    let mut consume = |interfaces: &[Interface], packet: &Packet<'_>| {
        assert_eq!(packet.time_ns, 1_655_526_400_000_000_000);
        let name = interfaces[packet.interface].name.clone().unwrap();
        seen.push((name, packet.direction, *packet.data.last().unwrap()));
        ControlFlow::Continue(())
    };
    assert_eq!(capture.next(&mut consume), None);
    capture.finish(Some(&mut consume));
    for name in ["one", "two"] {
        let sent: Vec<u8> = seen
            .iter()
            .filter(|(interface, direction, _)| interface == name && *direction == Some(Direction::Out))
            .map(|(.., number)| *number)
            .collect();
        assert_eq!(sent, (0..10).collect::<Vec<u8>>(), "{name}");
    }
    assert_eq!(seen.len(), 21);
    let ledger = capture.ledger();
    assert_eq!((ledger.received, ledger.ring_full, ledger.dropped()), (23, 2, 2));
}

#[test]
fn direction_snaplen_and_break_are_applied() {
    let (mut monitor, packets) = FakeMonitor::new(100);
    let options = LiveCaptureOptions { snaplen: 20, direction: Some(Direction::In), ..options() };
    let mut capture = capture(&options, "", packets);
    for _ in 0..5 {
        monitor.report(&report(7, 1, 3, [53, 4000], b"answer"), 0, 0);
        monitor.report(&report(7, 1, 4, [4000, 53], b"question"), 0, 0);
    }
    let mut consumed = 0;
    let mut consume = |_: &[Interface], packet: &Packet<'_>| {
        assert_eq!((packet.data.len(), packet.length, packet.direction), (20, 48, Some(Direction::In)));
        consumed += 1;
        if consumed == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    assert_eq!(capture.next(&mut consume), Some(StopReason::ConsumerDone));
    capture.finish(None);
    assert_eq!((consumed, capture.ledger().received, capture.ledger().left_over), (2, 5, 3));
}

#[test]
fn next_returns_after_a_batch() {
    const PACKETS: usize = 3000;
    let (mut monitor, packets) = FakeMonitor::new(PACKETS);
    let mut capture = capture(&options(), "", packets);
    for _ in 0..PACKETS {
        monitor.report(&report(7, 1, 4, [4000, 53], b"question"), 0, 0);
    }
    let mut batches = Vec::new();
    while batches.iter().sum::<usize>() < PACKETS {
        let mut consumed = 0;
        let mut consume = |_: &[Interface], _: &Packet<'_>| {
            consumed += 1;
            ControlFlow::Continue(())
        };
        assert_eq!(capture.next(&mut consume), None);
        batches.push(consumed);
    }
    assert_eq!(batches, [1024, 1024, 952]);
}

#[test]
fn unowned_packets_are_skipped_if_a_process_is_selected() {
    let (mut monitor, packets) = FakeMonitor::new(10);
    let mut options = options();
    options.choice.pids = [std::process::id()].into();
    let mut capture = capture(&options, "", packets);
    // The addresses belong to no socket.
    monitor.report(&report(7, 1, 4, [4000, 53], b"question"), 0, 0);
    assert_eq!(capture.next(&mut |_, _| panic!("the packet must be skipped")), None);
    assert_eq!(capture.remarks(), ["1 packets have no owner in the socket tables, and are left out"]);
    assert_eq!((capture.ledger().received, capture.ledger().dropped()), (0, 0));
}

/// Replaces the packet type of a report.
fn with_type(packet_type: u16, mut octets: Vec<u8>) -> Vec<u8> {
    octets[14..16].copy_from_slice(&packet_type.to_le_bytes());
    octets
}

/// Replaces the Ethernet frame of a report by an 802.11 data frame, as a wireless adapter reports it. `protected` sets
/// the Protected Frame bit.
fn over_wifi(protected: bool, octets: &[u8]) -> Vec<u8> {
    let (metadata, frame) = octets.split_at(40);
    let header =
        [&[0x08, if protected { 0x42 } else { 0x02 }, 0, 0], &[2; 6][..], &[3; 6], &[4; 6], &[0x10, 0]];
    let protocol = [&[0xaa, 0xaa, 3, 0, 0, 0], &frame[12..14]].concat();
    with_type(2, [metadata, &header.concat(), &protocol, &frame[14..]].concat())
}

#[test]
fn wifi_frames_are_filtered_and_shown_as_ethernet() {
    let shown = |filter: &str, direction: u16| {
        let (mut monitor, packets) = FakeMonitor::new(100);
        let mut capture = capture(&options(), filter, packets);
        for protected in [true, false] {
            for ports in [[4000, 53], [4000, 54]] {
                monitor.report(&over_wifi(protected, &report(7, 1, direction, ports, b"question")), 0, 0);
            }
        }
        let mut seen = Vec::new();
        capture.finish(Some(&mut |interfaces, packet| {
            let link = interfaces[packet.interface].link;
            seen.push((link, packet.length, packet.direction, packet.data.to_vec()));
            ControlFlow::Continue(())
        }));
        assert_eq!((capture.interfaces().len(), capture.ledger().dropped()), (2, 0), "{filter}");
        assert_eq!(capture.ledger().received, seen.len() as u64);
        seen
    };
    let ip_packet = report(7, 1, 4, [4000, 53], b"question").split_off(54);
    for filter in ["udp port 53", "ether host 04:04:04:04:04:04 and dst port 53", "ip and not port 54"] {
        for (link, length, direction, data) in shown(filter, 4) {
            assert_eq!((link, length, direction), (LinkType::ETHERNET, 50, Some(Direction::Out)), "{filter}");
            assert_eq!(data, [&[2; 6][..], &[4; 6], &[0x08, 0x00], &ip_packet].concat(), "{filter}");
        }
        assert_eq!(shown(filter, 4).len(), 2, "{filter}");
    }
    assert_eq!(shown("", 3).len(), 4);
    assert_eq!(shown("tcp", 3).len(), 0);
}

#[test]
fn ip_packets_have_their_own_interface() {
    let (mut monitor, packets) = FakeMonitor::new(100);
    let mut capture = capture(&options(), "", packets);
    for (component, kind) in [(8, 3), (7, 1), (7, 3), (8, 3)] {
        monitor.report(&with_type(kind, report(component, 1, 3, [1, 2], b"")), 0, 0);
    }
    let mut seen = Vec::new();
    capture.finish(Some(&mut |interfaces, packet| {
        let interface = &interfaces[packet.interface];
        seen.push((interface.name.clone().unwrap(), interface.link.0, packet.interface));
        ControlFlow::Continue(())
    }));
    let expected = [("two", 101, 2), ("one", 1, 0), ("one", 101, 3), ("two", 101, 2)];
    assert_eq!(seen, expected.map(|(name, link, index)| (name.to_owned(), link, index)));
}

#[test]
fn unfilterable_packets_are_counted_with_a_remark() {
    let (mut monitor, packets) = FakeMonitor::new(100);
    let mut capture = capture(&options(), "ether host 02:02:02:02:02:02", packets);
    let packet = report(7, 1, 4, [4000, 53], b"x");
    // `ether host` cannot filter a packet without an Ethernet header. Packet types 7, 0 and 11 have no link type.
    monitor.report(&with_type(3, report(8, 1, 4, [4000, 53], b"x")), 0, 0);
    for kind in [7, 0, 11] {
        monitor.report(&with_type(kind, packet.clone()), 0, 0);
    }
    // An encrypted frame, and a beacon.
    let mut unreadable = over_wifi(true, &packet);
    unreadable[40 + 24..40 + 32].fill(0x5a);
    monitor.report(&unreadable, 0, 0);
    let mut beacon = over_wifi(false, &packet);
    beacon[40] = 0x80;
    monitor.report(&beacon, 0, 0);
    // A component that belongs to no adapter.
    monitor.report(&report(30, 1, 4, [4000, 53], b"x"), 0, 0);
    monitor.report(&packet, 0, 0);
    let mut consumed = 0;
    capture.finish(Some(&mut |_, _| {
        consumed += 1;
        ControlFlow::Continue(())
    }));
    let ledger = capture.ledger();
    assert_eq!((consumed, ledger.received, ledger.copy_failed, ledger.dropped()), (1, 6, 5, 5));
    let remarks = capture.remarks();
    for start in [
        "1 reports were of no adapter",
        "1 802.11 frames carried no packet",
        "1 802.11 frames could not be read",
        "3 packets are of a type that cannot be shown (11)",
        "1 packets could not be filtered",
    ] {
        assert!(remarks.iter().any(|remark| remark.starts_with(start)), "{start}: {remarks:?}");
    }
}

#[test]
fn fatal_monitor_error_ends_the_capture() {
    let (mut monitor, packets) = FakeMonitor::new(100);
    let mut capture = capture(&options(), "", packets);
    monitor.report(&report(7, 1, 4, [4000, 53], b"x"), 0, 0);
    monitor.emit(PROCESS_INFO, 1, 122);
    let mut consumed = 0;
    let mut consume = |_: &[Interface], _: &Packet<'_>| {
        consumed += 1;
        ControlFlow::Continue(())
    };
    assert_eq!(capture.next(&mut consume), None);
    monitor.report(&report(7, 1, 4, [4000, 53], b"x"), 0, 0);
    monitor.emit(FATAL_ERROR, 1, 13);
    let end = capture.next(&mut consume);
    assert!(matches!(&end, Some(StopReason::SourceFailed(why)) if why.contains("broke off")), "{end:?}");
    assert_eq!((consumed, capture.ledger().ring_full, capture.ledger().received), (2, 1, 3));
    assert!(matches!(&capture.remarks()[..], [one] if one.starts_with("1 packets were refused")));
}

#[test]
fn truncated_packet_keeps_its_length() {
    let (mut monitor, packets) = FakeMonitor::new(100);
    let options = LiveCaptureOptions { snaplen: 100, ..options() };
    let mut capture = capture(&options, "greater 20000", packets);
    // The total length in the IP header is 30 000; the monitor has truncated the packet.
    let mut octets = report(7, 1, 4, [4000, 53], &[7; 10_000]);
    octets[40 + 14 + 2..][..2].copy_from_slice(&30_000_u16.to_be_bytes());
    octets.truncate(40 + MAX_SNAPLEN);
    monitor.report(&octets, 0, 0);
    monitor.report(&report(7, 1, 4, [4000, 53], &[7; 8000]), 0, 0);
    let mut seen = Vec::new();
    capture.finish(Some(&mut |_, packet| {
        seen.push((packet.length, packet.data.len()));
        ControlFlow::Continue(())
    }));
    assert_eq!(seen, [(30_014, 100)]);
}

#[test]
fn million_packets_are_passed_or_counted_as_lost() {
    const ALL: u64 = 1_000_000;
    const CAPACITY: usize = 4096;
    let (mut monitor, packets) = FakeMonitor::new(CAPACITY);
    let mut capture = capture(&options(), "", packets);
    let octets = report(7, 1, 4, [4000, 53], b"x");
    for _ in 0..ALL {
        monitor.report(&octets, 0, 0);
    }
    let mut consumed = 0;
    capture.finish(Some(&mut |_, _| {
        consumed += 1;
        ControlFlow::Continue(())
    }));
    let ledger = capture.ledger();
    assert_eq!((consumed, ledger.queue_full), (CAPACITY as u64, ALL - CAPACITY as u64));
    assert_eq!((ledger.received, ledger.ring_full, ledger.copy_failed), (ALL, 0, 0));
}

#[test]
fn concurrent_reader_and_ledger_count_every_packet() {
    const ALL: u64 = 1_000_000;
    let (mut monitor, packets) = FakeMonitor::new(1 << 14);
    let mut capture = capture(&options(), "", packets);
    let writer = std::thread::spawn(move || {
        let octets = report(7, 1, 4, [4000, 53], &[1, 2, 3]);
        for number in 0..ALL {
            // Every thousandth report counts ten missed packets.
            monitor.report(&octets, 0, u32::from(number % 1000 == 999) * 10);
        }
        // The monitor must live until the last read: its drop closes the queue.
        monitor
    });
    let (mut consumed, mut bytes) = (0, 0);
    let mut consume = |_: &[Interface], packet: &Packet<'_>| {
        consumed += 1;
        bytes += u64::from(packet.length);
        ControlFlow::Continue(())
    };
    while !writer.is_finished() {
        assert_eq!(capture.next(&mut consume), None);
    }
    let _monitor = writer.join().unwrap();
    capture.finish(Some(&mut consume));
    let ledger = capture.ledger();
    assert_eq!(bytes, consumed * 45);
    assert_eq!(consumed + ledger.queue_full, ALL);
    assert_eq!((ledger.ring_full, ledger.received), (ALL / 1000 * 10, ALL + ALL / 1000 * 10));
}
