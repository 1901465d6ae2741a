//! Passes hand-made events to the ETW callback.

use std::sync::atomic::Ordering;

use super::*;
use crate::events::queue;

/// Calls the callback with an event of this ID.
fn emit(callback: &Callback, id: u16, octets: &[u8]) {
    let mut raw = EVENT_RECORD::default();
    raw.EventHeader.EventDescriptor.Id = id;
    raw.EventHeader.TimeStamp = 77;
    // The header has the process that ran on the CPU.
    raw.EventHeader.ProcessId = 4;
    raw.UserDataLength = u16::try_from(octets.len()).unwrap();
    raw.UserData = if octets.is_empty() { std::ptr::null_mut() } else { octets.as_ptr().cast_mut().cast() };
    let raw: *const EVENT_RECORD = &raw const raw;
    // SAFETY: EventRecord is `repr(transparent)` over EVENT_RECORD, which lives until the end of the call.
    on_event(callback, unsafe { &*raw.cast::<EventRecord>() });
}

/// Process 812 sent 1460 octets from 192.0.2.1:40000 to 198.51.100.7:443.
const SENT: [u8; 20] =
    [0x2c, 0x03, 0, 0, 0xb4, 0x05, 0, 0, 198, 51, 100, 7, 192, 0, 2, 1, 0x01, 0xbb, 0x9c, 0x40];

#[test]
fn event_reaches_the_queue() {
    let (callback, queue) = queue(8);
    emit(&callback, 10, &SENT);
    emit(&callback, 18, &SENT);
    emit(&callback, 10, &SENT[..19]);
    emit(&callback, 10, &[]);
    let events: Vec<_> = queue.events.try_iter().collect();
    assert_eq!(events.len(), 1);
    assert_eq!((events[0].pid, events[0].bytes, events[0].time), (812, 1460, 77));
    assert_eq!(events[0].source.to_string(), "192.0.2.1:40000");
    assert_eq!(queue.losses.malformed.load(Ordering::Relaxed), 2);
}

#[test]
fn million_events_are_queued_or_counted_as_lost() {
    let (callback, queue) = queue(1000);
    for _ in 0..1_000_000 {
        emit(&callback, 10, &SENT);
    }
    assert_eq!(queue.events.try_iter().count(), 1000);
    assert_eq!(queue.losses.queue_full.load(Ordering::Relaxed), 999_000);
}

/// Process 813 received 1461 octets from `[2001:db8::2]:443` at `[2001:db8::1]:40001`.
const RECEIVED_V6: [u8; 44] = [
    0x2d, 0x03, 0, 0, 0xb5, 0x05, 0, 0, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x20,
    0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0x9c, 0x41, 0x01, 0xbb,
];

/// The used IDs of IPv4: TCP sent, received, connected, closed and accepted; UDP sent and received.
const V4: [u16; 7] = [10, 11, 12, 13, 15, 42, 43];

#[test]
fn exactly_fourteen_event_ids_are_queued() {
    let (callback, queue) = queue(100);
    // The payload is long enough for both families, so that only the ID decides.
    for id in 0..=u16::MAX {
        emit(&callback, id, &RECEIVED_V6);
    }
    assert_eq!(queue.losses.malformed.load(Ordering::Relaxed), 0);
    assert_eq!(queue.losses.queue_full.load(Ordering::Relaxed), 0);
    assert_eq!(queue.events.try_iter().count(), 14);
    // Each ID is decoded for its family.
    for id in V4.into_iter().flat_map(|v4| [v4, v4 + 16]) {
        let is_v6 = !V4.contains(&id);
        emit(&callback, id, if is_v6 { &RECEIVED_V6 } else { &SENT });
        let event = queue.events.try_recv().unwrap();
        let (pid, bytes) = if is_v6 { (813, 1461) } else { (812, 1460) };
        assert_eq!((event.pid, event.bytes, event.time), (pid, bytes, 77), "event {id}");
        let (source, destination) = if is_v6 {
            ("[2001:db8::2]:443", "[2001:db8::1]:40001")
        } else {
            ("192.0.2.1:40000", "198.51.100.7:443")
        };
        assert_eq!(
            (event.source.to_string(), event.destination.to_string()),
            (source.into(), destination.into())
        );
    }
}

#[test]
fn short_payload_of_a_used_id_is_malformed() {
    let garbage: Vec<u8> = (0..200_u8).map(|at| at.wrapping_mul(73) ^ 0x5a).collect();
    for id in 0..100 {
        let least = match id {
            _ if V4.contains(&id) => 20,
            _ if id >= 16 && V4.contains(&(id - 16)) => 44,
            _ => usize::MAX,
        };
        let (callback, queue) = queue(1000);
        for length in 0..garbage.len() {
            emit(&callback, id, &garbage[..length]);
        }
        let (taken, malformed) =
            if least == usize::MAX { (0, 0) } else { (garbage.len() - least, least as u64) };
        assert_eq!(queue.events.try_iter().count(), taken, "event {id}");
        assert_eq!(queue.losses.malformed.load(Ordering::Relaxed), malformed, "event {id}");
    }
}

#[test]
fn missing_session_differs_from_access_denied() {
    let error = |code: u32| with_not_found(crate::error(code)).kind();
    assert_eq!(error(ERROR_WMI_INSTANCE_NOT_FOUND), io::ErrorKind::NotFound);
    assert_eq!(error(0x8007_0000 | ERROR_WMI_INSTANCE_NOT_FOUND), io::ErrorKind::NotFound);
    assert_ne!(error(ERROR_ACCESS_DENIED), io::ErrorKind::NotFound);
}

/// The result depends on the machine: Wine refuses every process.
#[test]
fn session_starts_or_lacks_the_privilege() {
    let (callback, _queue) = queue(1);
    match Session::start(callback) {
        Ok(session) => assert_eq!((session.ended(), session.lost().unwrap()), (None, 0)),
        Err(refusal) => assert!(matches!(refusal, Refusal::Privilege), "{refusal}"),
    }
}
