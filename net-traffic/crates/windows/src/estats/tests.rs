//! Reads statistics from a fake stack.

use std::cell::{Cell, RefCell};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_NOT_FOUND};

use super::*;
use crate::error;

/// A stack with one counter for all connections. The ports in `failing` fail with their error code.
#[derive(Default)]
struct Fake {
    counted: Cell<u64>,
    failing: Vec<(u16, u32)>,
    enabled: RefCell<Vec<u16>>,
}

/// A counter that cannot be read.
const FAILS: u64 = u64::MAX;

impl Fake {
    fn of(failing: &[(u16, u32)]) -> Self {
        Self { failing: failing.to_vec(), ..Self::default() }
    }
}

impl Stack for Fake {
    fn enable(&self, row: &Row) -> io::Result<()> {
        self.enabled.borrow_mut().push(port(row));
        match self.failing.iter().find(|(failing, _)| *failing == port(row)) {
            Some((_, code)) => Err(error(*code)),
            None => Ok(()),
        }
    }

    fn data(&self, _: &Row) -> io::Result<TCP_ESTATS_DATA_ROD_v0> {
        let counted = self.counted.get();
        if counted == FAILS {
            return Err(error(ERROR_NOT_FOUND));
        }
        Ok(TCP_ESTATS_DATA_ROD_v0 {
            ThruBytesReceived: counted,
            ThruBytesAcked: 2 * counted,
            ..Default::default()
        })
    }

    fn path(&self, _: &Row) -> io::Result<TCP_ESTATS_PATH_ROD_v0> {
        Ok(TCP_ESTATS_PATH_ROD_v0 { SmoothedRtt: 7, RttVar: u32::MAX, PktsRetrans: 3, ..Default::default() })
    }
}

fn port(row: &Row) -> u16 {
    let Row::V4(row) = row else { panic!("the test uses IPv4 only") };
    u16::try_from(row.dwLocalPort).unwrap().to_be()
}

fn socket(port: u16) -> Socket {
    let end = |port| Endpoint { address: IpAddr::from([192, 0, 2, 1]), port };
    let entry = crate::events::Entry {
        protocol: Protocol::Tcp,
        local: end(port),
        remote: Some(end(443)),
        state: State::Established,
        pid: 7,
        created: 0,
        scopes: [0; 2],
    };
    entry.socket()
}

fn unscoped(_: &Socket) -> [u32; 2] {
    [0; 2]
}

/// Records the scope IDs of the queries.
#[derive(Default)]
struct ScopeRecorder(RefCell<Vec<[u32; 2]>>);

impl Stack for ScopeRecorder {
    fn enable(&self, row: &Row) -> io::Result<()> {
        let Row::V6(row) = row else { panic!("the test uses IPv6 only") };
        self.0.borrow_mut().push([row.dwLocalScopeId, row.dwRemoteScopeId]);
        Ok(())
    }

    fn data(&self, _: &Row) -> io::Result<TCP_ESTATS_DATA_ROD_v0> {
        Ok(TCP_ESTATS_DATA_ROD_v0::default())
    }

    fn path(&self, _: &Row) -> io::Result<TCP_ESTATS_PATH_ROD_v0> {
        Ok(TCP_ESTATS_PATH_ROD_v0::default())
    }
}

#[test]
fn link_local_connection_is_queried_with_scope_ids() {
    let end = |last| Endpoint { address: IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last]), port: 80 };
    let mut sockets = [Socket { local: end(1), remote: Some(end(2)), ..socket(1) }];
    let (stack, mut statistics) = (ScopeRecorder::default(), Statistics::default());
    statistics.add_from(&stack, &mut sockets, true, |_| [7, 8]);
    assert_eq!(*stack.0.borrow(), [[7, 8]]);
    assert!(sockets[0].counted.is_some());
}

#[test]
fn bytes_start_at_the_first_reading() {
    let (stack, mut statistics) = (Fake::default(), Statistics::default());
    let read = |statistics: &mut Statistics, counted| {
        stack.counted.set(counted);
        let mut sockets = [socket(1)];
        statistics.add_from(&stack, &mut sockets, true, unscoped);
        sockets[0].clone()
    };
    assert_eq!(read(&mut statistics, 100).counted, Some(Bytes { rx: 0, tx: 0 }));
    let later = read(&mut statistics, 150);
    assert_eq!(later.counted, Some(Bytes { rx: 50, tx: 100 }));
    let tcp = later.tcp.unwrap();
    assert_eq!((tcp.rtt_us, tcp.rtt_var_us, tcp.retransmits), (Some(7000), None, Some(3)));
    assert_eq!(*stack.enabled.borrow(), [1], "the collection is enabled once");
}

#[test]
fn failed_reading_keeps_the_baseline() {
    let (stack, mut statistics) = (Fake::default(), Statistics::default());
    let read = |statistics: &mut Statistics, counted| {
        stack.counted.set(counted);
        let mut sockets = [socket(1)];
        statistics.add_from(&stack, &mut sockets, true, unscoped);
        sockets[0].counted
    };
    assert_eq!(read(&mut statistics, 100), Some(Bytes { rx: 0, tx: 0 }));
    assert_eq!(read(&mut statistics, FAILS), None);
    assert_eq!(read(&mut statistics, 150), Some(Bytes { rx: 50, tx: 100 }));
}

#[test]
fn bytes_of_another_counter_are_not_replaced() {
    let (stack, mut statistics) = (Fake::default(), Statistics::default());
    let others = Some(Bytes { rx: 1, tx: 2 });
    // None: the ETW session was stopped, and the bytes since then are unknown.
    for counted in [others, None, None] {
        stack.counted.set(stack.counted.get() + 100);
        let mut sockets = [Socket { counted, ..socket(1) }];
        statistics.add_from(&stack, &mut sockets, false, unscoped);
        assert_eq!((sockets[0].counted, sockets[0].tcp.is_some()), (counted, true));
    }
}

#[test]
fn ended_connections_free_their_baselines() {
    let (stack, mut statistics) = (Fake::default(), Statistics::default());
    for port in 1..=10_000 {
        statistics.add_from(&stack, &mut [socket(port), socket(port + 1)], true, unscoped);
        assert_eq!(statistics.baselines.len(), 2);
    }
    statistics.add_from(&stack, &mut [], true, unscoped);
    assert!(statistics.baselines.is_empty());
}

#[test]
fn failed_connection_does_not_stop_the_others() {
    let stack = Fake::of(&[(2, ERROR_NOT_FOUND)]);
    let mut statistics = Statistics::default();
    for _ in 0..3 {
        let mut sockets = [socket(1), socket(2), socket(3)];
        statistics.add_from(&stack, &mut sockets, true, unscoped);
        assert_eq!(sockets.map(|socket| socket.tcp.is_some()), [true, false, true]);
    }
    let status = statistics.status();
    assert_eq!((status.tier.as_deref(), status.reason), (Some("polling"), None));
}

#[test]
fn access_denied_ends_the_queries() {
    let stack = Fake::of(&[(2, ERROR_ACCESS_DENIED)]);
    let mut statistics = Statistics::default();
    let mut sockets = [socket(1), socket(2), socket(3)];
    statistics.add_from(&stack, &mut sockets, true, unscoped);
    assert_eq!(sockets.map(|socket| socket.tcp.is_some()), [true, false, false]);
    statistics.add_from(&stack, &mut [socket(1), socket(3)], true, unscoped);
    assert_eq!(*stack.enabled.borrow(), [1, 2], "no connection is queried any more");
    let status = statistics.status();
    assert!(status.tier.is_none() && status.reason.is_some() && status.remedy.is_some());
}

#[test]
fn estats_unavailable_is_reported_once() {
    for (has_them, is_elevated, reason) in
        [(true, false, "administrator"), (false, false, "this Windows"), (false, true, "this Windows")]
    {
        let (stack, mut statistics) = (Fake::default(), Statistics::of(has_them, is_elevated));
        statistics.add_from(&stack, &mut [socket(1)], true, unscoped);
        assert!(stack.enabled.borrow().is_empty());
        let status = statistics.status();
        assert!(status.tier.is_none() && status.reason.unwrap().contains(reason));
        assert_eq!(status.remedy.is_some(), has_them, "no privilege adds a missing function");
    }
    assert!(Statistics::of(true, true).status().reason.is_none());
}
