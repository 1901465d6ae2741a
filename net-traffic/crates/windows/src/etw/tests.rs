//! Counts the events of a fake session, which loses events and is stopped.

use std::sync::atomic::{AtomicBool, AtomicU64};

use super::*;
use crate::events::{Callback, STOPPED};
use net_traffic_snapshot::{Endpoint, Protocol, State};

/// The state of the fake session.
#[derive(Debug, Default)]
struct FakeState {
    lost: AtomicU64,
    stopped: AtomicBool,
    /// Queries fail with `NotFound`.
    missing: AtomicBool,
}

#[derive(Debug)]
struct Fake {
    state: Arc<FakeState>,
    _callback: Callback,
}

impl TraceSession for Fake {
    fn flush(&self) {}

    fn lost(&self) -> io::Result<u64> {
        if self.state.missing.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::NotFound.into());
        }
        Ok(self.state.lost.load(Ordering::SeqCst))
    }

    fn ended(&self) -> Option<String> {
        self.state.stopped.load(Ordering::SeqCst).then(|| STOPPED.to_owned())
    }
}

struct Scenario {
    state: Arc<FakeState>,
    callback: Callback,
    counter: EtwCounter,
    processes: Processes,
    at_ns: u64,
}

impl Scenario {
    fn new() -> Self {
        let (callback, queue) = queue(1000);
        let state = Arc::new(FakeState::default());
        let fake = Fake { state: Arc::clone(&state), _callback: callback.clone() };
        let counter = EtwCounter::with_session(Box::new(fake), queue).unwrap();
        Self { state, callback, counter, processes: Processes::default(), at_ns: 0 }
    }

    /// Emits a send event of this process; returns its connection from the next snapshot.
    fn send(&mut self, octets: u32) -> Socket {
        self.add(octets);
        self.snapshot()
    }

    fn add(&mut self, octets: u32) {
        let pid = std::process::id();
        let mut payload = [pid.to_le_bytes(), octets.to_le_bytes()].concat();
        payload.extend([198, 51, 100, 7, 192, 0, 2, 1, 0x01, 0xbb, 0x9c, 0x40]);
        let before = self.summed();
        self.callback.push(10, i64::MAX - 1, &payload);
        // The thread of the counter sums the event.
        while self.summed() == before {
            std::thread::yield_now();
        }
    }

    fn summed(&self) -> u64 {
        let batch = lock(&self.counter.tallies).clone().take();
        batch.running.iter().map(|tally| tally.bytes.tx).sum()
    }

    fn snapshot(&mut self) -> Socket {
        self.at_ns += 1_000_000_000;
        self.processes.begin_snapshot();
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
        let sockets = self.counter.advance(self.at_ns, &[], &mut self.processes, tables).unwrap();
        assert_eq!(sockets.len(), 1, "{sockets:?}");
        sockets[0].clone()
    }

    /// Takes a snapshot whose tables cannot be read.
    fn fail(&mut self) {
        self.at_ns += 1_000_000_000;
        let tables = || Err(io::ErrorKind::OutOfMemory.into());
        assert!(self.counter.advance(self.at_ns, &[], &mut self.processes, tables).is_err());
    }

    fn process(&self) -> Option<u64> {
        Some(self.counter.processes()?.values().map(|bytes| bytes.tx).sum())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "as sockets have it")]
fn sent(octets: u64) -> Option<Bytes> {
    Some(Bytes { rx: 0, tx: octets })
}

#[test]
fn running_session_counts_bytes_and_losses() {
    let mut scenario = Scenario::new();
    assert_eq!(scenario.send(5).counted, sent(5));
    scenario.state.lost.store(7, Ordering::SeqCst);
    assert_eq!(scenario.send(6).counted, sent(11));
    assert_eq!(scenario.process(), Some(11));
    let loss = scenario.counter.loss();
    assert_eq!((loss.ring_full, loss.missed_hooks), (7, 0));
    let status = scenario.counter.status();
    assert_eq!((status.tier.as_deref(), status.reason), (Some("etw"), None));
}

#[test]
fn failed_tables_keep_the_counted_bytes() {
    let mut scenario = Scenario::new();
    assert_eq!(scenario.send(5).counted, sent(5));
    scenario.add(6);
    scenario.fail();
    scenario.fail();
    assert_eq!(scenario.send(7).counted, sent(18));
    assert_eq!(scenario.process(), Some(18));
}

#[test]
fn stopped_session_is_reported_and_sockets_stay_listed() {
    for stop in [
        |state: &FakeState| state.stopped.store(true, Ordering::SeqCst),
        |state: &FakeState| {
            state.missing.store(true, Ordering::SeqCst);
        },
    ] {
        let mut scenario = Scenario::new();
        scenario.state.lost.store(7, Ordering::SeqCst);
        scenario.send(5);
        stop(&scenario.state);
        // Events before the end are still counted.
        assert_eq!(scenario.send(6).counted, sent(11));
        let status = scenario.counter.status();
        assert_eq!(status.tier, None);
        assert!(status.reason.unwrap().contains("stopped from outside"));
        assert!(status.remedy.unwrap().contains("start net-traffic again"));
        let loss = scenario.counter.loss();
        assert_eq!((loss.ring_full, loss.missed_hooks), (7, 1), "the number of lost events stays");
        // From now on the bytes are unknown. The connection is still listed.
        let socket = scenario.snapshot();
        assert_eq!((socket.counted, socket.state), (None, State::Established));
        assert_eq!(scenario.process(), None);
        assert_eq!(scenario.counter.loss(), loss, "the end counts once");
    }
}

#[test]
fn thread_ends_with_the_session() {
    let scenario = Scenario::new();
    let Scenario { callback, counter, .. } = scenario;
    drop(callback);
    drop(counter);
}
