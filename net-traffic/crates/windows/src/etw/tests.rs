//! Counting by a session that the test has in its hand: it loses events, and somebody stops it.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::events::{Callback, STOPPED};
use net_traffic_snapshot::{Endpoint, Protocol, State};

/// What the system would say of the session.
#[derive(Debug, Default)]
struct Said {
    lost: AtomicU64,
    stopped: AtomicBool,
    /// The name is that of no session any more.
    gone: AtomicBool,
}

#[derive(Debug)]
struct Fake {
    said: Arc<Said>,
    _callback: Callback,
}

impl Tracing for Fake {
    fn hand_over(&self) {}

    fn lost(&self) -> io::Result<u64> {
        if self.said.gone.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(self.said.lost.load(Ordering::SeqCst))
    }

    fn ended(&self) -> Option<String> {
        self.said.stopped.load(Ordering::SeqCst).then(|| STOPPED.to_owned())
    }
}

struct Story {
    said: Arc<Said>,
    callback: Callback,
    counting: Counting,
    processes: Processes,
    at_ns: u64,
}

impl Story {
    fn new() -> Self {
        let (callback, queue) = queue(1000);
        let said = Arc::new(Said::default());
        let fake = Fake { said: Arc::clone(&said), _callback: callback.clone() };
        let counting = Counting::of(Box::new(fake), queue).unwrap();
        Self { said, callback, counting, processes: Processes::default(), at_ns: 0 }
    }

    /// This process sends so many octets over its one connection; what the next snapshot has of it.
    fn send(&mut self, octets: u32) -> Socket {
        self.add(octets);
        self.snapshot()
    }

    fn add(&mut self, octets: u32) {
        let pid = std::process::id();
        let mut payload = [pid.to_le_bytes(), octets.to_le_bytes()].concat();
        payload.extend([198, 51, 100, 7, 192, 0, 2, 1, 0x01, 0xbb, 0x9c, 0x40]);
        let before = self.taken();
        self.callback.take(10, i64::MAX - 1, &payload);
        // The thread that adds up takes it when it comes to it.
        while self.taken() == before {
            std::thread::yield_now();
        }
    }

    fn taken(&self) -> u64 {
        let batch = lock(&self.counting.tallies).clone().take();
        batch.running.iter().map(|tally| tally.bytes.tx).sum()
    }

    fn snapshot(&mut self) -> Socket {
        self.at_ns += 1_000_000_000;
        self.processes.begin();
        let tables = || {
            let end = |address: [u8; 4], port| Endpoint { address: address.into(), port };
            let (local, remote) = (end([192, 0, 2, 1], 40000), Some(end([198, 51, 100, 7], 443)));
            let pid = std::process::id();
            Ok(vec![Entry {
                protocol: Protocol::Tcp,
                local,
                remote,
                state: State::Established,
                pid,
                created: 1,
                scopes: [0; 2],
            }])
        };
        let sockets = self.counting.advance(self.at_ns, &[], &mut self.processes, tables).unwrap();
        assert_eq!(sockets.len(), 1, "{sockets:?}");
        sockets[0].clone()
    }

    /// The tables cannot be read this time.
    fn fail(&mut self) {
        self.at_ns += 1_000_000_000;
        let tables = || Err(io::ErrorKind::OutOfMemory.into());
        assert!(self.counting.advance(self.at_ns, &[], &mut self.processes, tables).is_err());
    }

    fn process(&self) -> Option<u64> {
        Some(self.counting.processes()?.values().map(|bytes| bytes.tx).sum())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as sockets have it")]
fn sent(octets: u64) -> Option<Bytes> {
    Some(Bytes { rx: 0, tx: octets })
}

#[test]
fn a_session_that_runs_counts_and_its_losses_are_in_the_ledger() {
    let mut story = Story::new();
    assert_eq!(story.send(5).counted, sent(5));
    story.said.lost.store(7, Ordering::SeqCst);
    assert_eq!(story.send(6).counted, sent(11));
    assert_eq!(story.process(), Some(11));
    let loss = story.counting.loss();
    assert_eq!((loss.ring_full, loss.missed_hooks), (7, 0));
    let status = story.counting.status();
    assert_eq!((status.tier.as_deref(), status.reason), (Some("etw"), None));
}

#[test]
fn what_was_counted_is_not_lost_with_tables_that_cannot_be_read() {
    let mut story = Story::new();
    assert_eq!(story.send(5).counted, sent(5));
    story.add(6);
    story.fail();
    story.fail();
    assert_eq!(story.send(7).counted, sent(18));
    assert_eq!(story.process(), Some(18));
}

#[test]
fn a_session_that_somebody_stops_is_said_to_be_and_the_tables_go_on() {
    for stop in [
        |said: &Said| said.stopped.store(true, Ordering::SeqCst),
        |said: &Said| {
            said.gone.store(true, Ordering::SeqCst);
        },
    ] {
        let mut story = Story::new();
        story.said.lost.store(7, Ordering::SeqCst);
        story.send(5);
        stop(&story.said);
        // What came before the end is still told.
        assert_eq!(story.send(6).counted, sent(11));
        let status = story.counting.status();
        assert_eq!(status.tier, None);
        assert!(status.reason.unwrap().contains("stopped from outside"));
        assert!(status.remedy.unwrap().contains("start net-traffic again"));
        let loss = story.counting.loss();
        assert_eq!((loss.ring_full, loss.missed_hooks), (7, 1), "what was known to be lost stays so");
        // From here on nobody knows what was moved; the connection is there all the same.
        let socket = story.snapshot();
        assert_eq!((socket.counted, socket.state), (None, State::Established));
        assert_eq!(story.process(), None);
        assert_eq!(story.counting.loss(), loss, "it ended once");
    }
}

#[test]
fn the_thread_that_adds_up_ends_with_the_session() {
    let story = Story::new();
    let Story { callback, counting, .. } = story;
    drop(callback);
    drop(counting);
}
