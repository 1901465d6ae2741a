//! The events themselves: every number, short and long, and what does not fit.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::events::kernel_network::{Action, decode, is_wanted};

const V4: [&str; 2] = ["192.0.2.1:40000", "198.51.100.7:443"];
const V6: [&str; 2] = ["[2001:db8::1]:40000", "[2001:db8::2]:443"];

#[test]
fn every_event_of_the_provider_is_counted_or_left_out() {
    use Action::{Closed, Opened, Received, Sent};
    use Protocol::{Tcp, Udp};
    let counted = [
        (10, Tcp, Sent),
        (11, Tcp, Received),
        (12, Tcp, Opened),
        (13, Tcp, Closed),
        (15, Tcp, Opened),
        (42, Udp, Sent),
        (43, Udp, Received),
    ];
    for (v4, protocol, action) in counted {
        for (id, [source, destination]) in [(v4, V4), (v4 + 16, V6)] {
            let event = decode(id, 7, &payload(812, 1460, source, destination)).unwrap().unwrap();
            let expected = Event {
                time: 7,
                pid: 812,
                protocol,
                action,
                bytes: 1460,
                destination: end(destination),
                source: end(source),
            };
            assert_eq!(event, expected, "event {id}");
        }
    }
    let wanted: Vec<u16> = counted.iter().flat_map(|(id, ..)| [*id, id + 16]).collect();
    for id in 0..=u16::MAX {
        assert_eq!(is_wanted(id), wanted.contains(&id), "event {id}");
    }
    // Copies, retransmissions, attempts and failures would count bytes twice.
    for id in [14, 16, 17, 18, 30, 32, 34, 49] {
        assert_eq!(decode(id, 0, &payload(1, 1, V4[0], V4[1])), Ok(None), "event {id}");
    }
}

#[test]
fn what_is_added_to_an_event_changes_nothing_and_what_lacks_makes_it_void() {
    for (id, [source, destination], least) in [(10, V4, 20), (26, V6, 44)] {
        let whole = payload(1, 2, source, destination);
        assert_eq!(whole.len(), least);
        let expected = decode(id, 0, &whole).unwrap();
        for more in [1, 8, 100] {
            let longer = [whole.clone(), vec![0xff; more]].concat();
            assert_eq!(decode(id, 0, &longer).unwrap(), expected);
        }
        for length in 0..least {
            assert!(decode(id, 0, &whole[..length]).is_err(), "{length} octets of event {id}");
        }
    }
}

#[test]
fn short_events_are_lost_and_counted() {
    let (callback, queue) = roomy();
    for (id, length) in [(10, 19), (26, 43), (42, 0), (18, 0), (9999, 3)] {
        callback.take(id, 0, &payload(1, 1, V6[0], V6[1])[..length]);
    }
    assert!(taken(&queue).is_empty());
    // Those of numbers that nobody wants are not looked at.
    assert_eq!(queue.losses.malformed.load(Ordering::Relaxed), 3);
}

#[test]
fn a_million_events_at_once_are_counted_or_said_to_be_lost() {
    const ALL: u64 = 1_000_000;
    const ROOM: usize = 4096;
    let (callback, queue) = queue(ROOM);
    let octets = payload(1, 100, V4[0], V4[1]);
    for _ in 0..ALL {
        callback.take(10, 0, &octets);
    }
    let refused = queue.losses.queue_full.load(Ordering::Relaxed);
    assert_eq!(refused, ALL - ROOM as u64);
    let batch = added(&queue).take();
    assert_eq!(batch.running.len(), 1);
    assert_eq!(batch.running[0].bytes.tx, ROOM as u64 * 100);
    assert_eq!(batch.running[0].bytes.tx / 100 + refused, ALL);
}

#[test]
fn a_million_events_beside_a_reader_come_to_the_exact_sum() {
    const ALL: u64 = 1_000_000;
    let (callback, queue) = queue(1 << 16);
    let writer = std::thread::spawn(move || {
        for number in 0..ALL {
            let octets = payload(1, 3, V4[0], V4[1]);
            callback.take(if number % 2 == 0 { 10 } else { 11 }, 0, &octets);
        }
    });
    let mut tallies = Tallies::default();
    let mut events = 0;
    while let Ok(event) = queue.events.recv() {
        events += 1;
        tallies.add(&event);
    }
    writer.join().unwrap();
    let bytes: u64 = tallies.take().running.iter().map(|tally| tally.bytes.rx + tally.bytes.tx).sum();
    assert_eq!(bytes, events * 3);
    assert_eq!(events + queue.losses.queue_full.load(Ordering::Relaxed), ALL);
}

#[test]
fn what_is_given_back_comes_with_what_came_since() {
    let event = |id, bytes| decode(id, i64::from(bytes), &payload(1, bytes, V4[0], V4[1])).unwrap().unwrap();
    let mut tallies = Tallies::default();
    tallies.add(&event(10, 5));
    let before = tallies.take();
    tallies.give_back(before);
    let before = tallies.take();
    tallies.add(&event(10, 6));
    tallies.add(&event(13, 0));
    tallies.give_back(before);
    let batch = tallies.take();
    let tally = &batch.running[0];
    assert_eq!((batch.running.len(), batch.over.len()), (1, 0));
    assert_eq!((tally.bytes.tx, tally.first, tally.opened, tally.closed), (11, 5, false, true));
    // A connection that began in between is not the one before.
    tallies.add(&event(10, 7));
    let before = tallies.take();
    tallies.add(&event(12, 0));
    tallies.add(&event(10, 8));
    tallies.give_back(before);
    let batch = tallies.take();
    assert_eq!((batch.over[0].bytes.tx, batch.over[0].closed, batch.over.len()), (7, true, 1));
    assert_eq!(batch.running.iter().map(|tally| tally.bytes.tx).sum::<u64>(), 8);
    // Nor is what the one before had received this one's.
    tallies.add(&event(11, 7));
    let before = tallies.take();
    tallies.add(&event(12, 0));
    tallies.add(&event(11, 8));
    tallies.give_back(before);
    let batch = tallies.take();
    assert_eq!((batch.over[0].bytes.rx, batch.over[0].closed, batch.over.len()), (7, true, 1));
    assert_eq!(batch.running.iter().map(|tally| tally.bytes.rx).sum::<u64>(), 8);
}

#[test]
fn flows_without_end_do_not_fill_the_memory() {
    let mut tallies = Tallies::default();
    let octets = payload(5, 10, V4[0], V4[1]);
    let event = decode(10, 0, &octets).unwrap().unwrap();
    for port in 0..u16::MAX {
        for address in 0..3_u8 {
            let address = std::net::Ipv4Addr::new(192, 0, 2, address).into();
            tallies.add(&Event { destination: Endpoint { address, port }, ..event });
        }
    }
    let all = 3 * u64::from(u16::MAX);
    let batch = tallies.take();
    assert!(batch.running.len() <= (1 << 17) + 1);
    assert_eq!(tallies.map_full(), all - (1 << 17));
    assert_eq!(batch.running.iter().map(|tally| tally.bytes.tx).sum::<u64>(), all * 10);
}

#[test]
fn connections_that_begin_anew_do_not_fill_the_memory() {
    let mut tallies = Tallies::default();
    let octets = payload(5, 10, V4[0], V4[1]);
    let opened = decode(12, 0, &octets).unwrap().unwrap();
    for _ in 0..3 << 17 {
        tallies.add(&opened);
    }
    let batch = tallies.take();
    assert!(batch.running.len() + batch.over.len() <= (1 << 17) + 1);
    assert!(tallies.map_full() > 0);
}

proptest! {
    #[test]
    fn no_octets_make_the_callback_panic(id in 0_u16..64, time: i64, octets: Vec<u8>) {
        let (callback, queue) = roomy();
        callback.take(id, time, &octets);
        let events = taken(&queue).len() as u64;
        let malformed = queue.losses.malformed.load(Ordering::Relaxed);
        prop_assert_eq!(events + malformed, u64::from(is_wanted(id)));
    }

    #[test]
    fn what_is_written_is_read(pid: u32, size: u32, ends: [(u32, u16); 2]) {
        let text = ends.map(|(address, port)| format!("{}:{port}", std::net::Ipv4Addr::from(address)));
        let event = decode(11, 1, &payload(pid, size, &text[0], &text[1])).unwrap().unwrap();
        prop_assert_eq!((event.pid, event.bytes), (pid, size));
        prop_assert_eq!((event.source, event.destination), (end(&text[0]), end(&text[1])));
    }
}
