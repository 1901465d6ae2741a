//! Tests decoding, the queue and the tallies: all event IDs, all lengths, overflow.

use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::events::kernel_network::{Action, decode, is_wanted};

const V4: [&str; 2] = ["192.0.2.1:40000", "198.51.100.7:443"];
const V6: [&str; 2] = ["[2001:db8::1]:40000", "[2001:db8::2]:443"];

#[test]
fn every_event_id_is_decoded_or_unused() {
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
    // Copies, retransmissions, attempts and failures are unused.
    for id in [14, 16, 17, 18, 30, 32, 34, 49] {
        assert_eq!(decode(id, 0, &payload(1, 1, V4[0], V4[1])), Ok(None), "event {id}");
    }
}

#[test]
fn appended_fields_are_ignored_and_short_payloads_rejected() {
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
fn short_events_are_counted_as_malformed() {
    let (callback, queue) = large_queue();
    for (id, length) in [(10, 19), (26, 43), (42, 0), (18, 0), (9999, 3)] {
        callback.push(id, 0, &payload(1, 1, V6[0], V6[1])[..length]);
    }
    assert!(drain(&queue).is_empty());
    // Payloads of unused IDs are not checked.
    assert_eq!(queue.losses.malformed.load(Ordering::Relaxed), 3);
}

#[test]
fn million_events_are_summed_or_counted_as_lost() {
    const ALL: u64 = 1_000_000;
    const CAPACITY: usize = 4096;
    let (callback, queue) = queue(CAPACITY);
    let octets = payload(1, 100, V4[0], V4[1]);
    for _ in 0..ALL {
        callback.push(10, 0, &octets);
    }
    let refused = queue.losses.queue_full.load(Ordering::Relaxed);
    assert_eq!(refused, ALL - CAPACITY as u64);
    let batch = sum(&queue).take();
    assert_eq!(batch.running.len(), 1);
    assert_eq!(batch.running[0].bytes.tx, CAPACITY as u64 * 100);
    assert_eq!(batch.running[0].bytes.tx / 100 + refused, ALL);
}

#[test]
fn concurrent_reader_gets_the_exact_sum() {
    const ALL: u64 = 1_000_000;
    let (callback, queue) = queue(1 << 16);
    let writer = std::thread::spawn(move || {
        for number in 0..ALL {
            let octets = payload(1, 3, V4[0], V4[1]);
            callback.push(if number % 2 == 0 { 10 } else { 11 }, 0, &octets);
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
fn restored_batch_joins_the_newer_tallies() {
    let event = |id, bytes| decode(id, i64::from(bytes), &payload(1, bytes, V4[0], V4[1])).unwrap().unwrap();
    let mut tallies = Tallies::default();
    tallies.add(&event(10, 5));
    let before = tallies.take();
    tallies.restore(before);
    let before = tallies.take();
    tallies.add(&event(10, 6));
    tallies.add(&event(13, 0));
    tallies.restore(before);
    let batch = tallies.take();
    let tally = &batch.running[0];
    assert_eq!((batch.running.len(), batch.ended.len()), (1, 0));
    assert_eq!((tally.bytes.tx, tally.first, tally.opened, tally.closed), (11, 5, false, true));
    // A connection that started since is another one.
    tallies.add(&event(10, 7));
    let before = tallies.take();
    tallies.add(&event(12, 0));
    tallies.add(&event(10, 8));
    tallies.restore(before);
    let batch = tallies.take();
    assert_eq!((batch.ended[0].bytes.tx, batch.ended[0].closed, batch.ended.len()), (7, true, 1));
    assert_eq!(batch.running.iter().map(|tally| tally.bytes.tx).sum::<u64>(), 8);
    // The same holds for received bytes.
    tallies.add(&event(11, 7));
    let before = tallies.take();
    tallies.add(&event(12, 0));
    tallies.add(&event(11, 8));
    tallies.restore(before);
    let batch = tallies.take();
    assert_eq!((batch.ended[0].bytes.rx, batch.ended[0].closed, batch.ended.len()), (7, true, 1));
    assert_eq!(batch.running.iter().map(|tally| tally.bytes.rx).sum::<u64>(), 8);
}

#[test]
fn number_of_flows_is_bounded() {
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
fn number_of_reopened_connections_is_bounded() {
    let mut tallies = Tallies::default();
    let octets = payload(5, 10, V4[0], V4[1]);
    let opened = decode(12, 0, &octets).unwrap().unwrap();
    for _ in 0..3 << 17 {
        tallies.add(&opened);
    }
    let batch = tallies.take();
    assert!(batch.running.len() + batch.ended.len() <= (1 << 17) + 1);
    assert!(tallies.map_full() > 0);
}

proptest! {
    #[test]
    fn arbitrary_payload_does_not_panic(id in 0_u16..64, time: i64, octets: Vec<u8>) {
        let (callback, queue) = large_queue();
        callback.push(id, time, &octets);
        let events = drain(&queue).len() as u64;
        let malformed = queue.losses.malformed.load(Ordering::Relaxed);
        prop_assert_eq!(events + malformed, u64::from(is_wanted(id)));
    }

    #[test]
    fn encoded_event_decodes_to_the_same(pid: u32, size: u32, ends: [(u32, u16); 2]) {
        let text = ends.map(|(address, port)| format!("{}:{port}", std::net::Ipv4Addr::from(address)));
        let event = decode(11, 1, &payload(pid, size, &text[0], &text[1])).unwrap().unwrap();
        prop_assert_eq!((event.pid, event.bytes), (pid, size));
        prop_assert_eq!((event.source, event.destination), (end(&text[0]), end(&text[1])));
    }
}
