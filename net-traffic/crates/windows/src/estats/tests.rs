//! A stack that says what the test wants.

use std::cell::{Cell, RefCell};

use windows_sys::Win32::Foundation::{ERROR_ACCESS_DENIED, ERROR_NOT_FOUND};

use super::*;
use crate::error;

/// Each port of it has counted so much; those that are named fail like this.
#[derive(Default)]
struct Fake {
    counted: Cell<u64>,
    failing: Vec<(u16, u32)>,
    enabled: RefCell<Vec<u16>>,
}

/// What cannot be read.
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
    let Row::V4(row) = row else { panic!("the sockets of this test are of IPv4") };
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

/// Takes note of the zones that it is asked with.
#[derive(Default)]
struct Zones(RefCell<Vec<[u32; 2]>>);

impl Stack for Zones {
    fn enable(&self, row: &Row) -> io::Result<()> {
        let Row::V6(row) = row else { panic!("the socket of this test is of IPv6") };
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
fn a_connection_of_a_link_is_asked_for_with_its_zone() {
    let end = |last| Endpoint { address: IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, last]), port: 80 };
    let mut sockets = [Socket { local: end(1), remote: Some(end(2)), ..socket(1) }];
    let (stack, mut statistics) = (Zones::default(), Statistics::default());
    statistics.add_from(&stack, &mut sockets, true, |_| [7, 8]);
    assert_eq!(*stack.0.borrow(), [[7, 8]]);
    assert!(sockets[0].counted.is_some());
}

#[test]
fn bytes_count_from_the_first_reading_and_times_are_in_microseconds() {
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
    assert_eq!(*stack.enabled.borrow(), [1], "it is told once");
}

#[test]
fn a_reading_that_fails_does_not_begin_the_count_anew() {
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
fn where_something_else_counts_or_did_the_bytes_are_left_to_it() {
    let (stack, mut statistics) = (Fake::default(), Statistics::default());
    let theirs = Some(Bytes { rx: 1, tx: 2 });
    // None as well: whoever counted was stopped, and what is moved since is not known.
    for counted in [theirs, None, None] {
        stack.counted.set(stack.counted.get() + 100);
        let mut sockets = [Socket { counted, ..socket(1) }];
        statistics.add_from(&stack, &mut sockets, false, unscoped);
        assert_eq!((sockets[0].counted, sockets[0].tcp.is_some()), (counted, true));
    }
}

#[test]
fn connections_that_come_and_go_do_not_fill_the_memory() {
    let (stack, mut statistics) = (Fake::default(), Statistics::default());
    for port in 1..=10_000 {
        statistics.add_from(&stack, &mut [socket(port), socket(port + 1)], true, unscoped);
        assert_eq!(statistics.begin.len(), 2);
    }
    statistics.add_from(&stack, &mut [], true, unscoped);
    assert!(statistics.begin.is_empty());
}

#[test]
fn a_connection_that_fails_is_left_out_and_the_others_are_asked() {
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
fn a_right_that_is_missing_ends_it_for_good_and_is_said() {
    let stack = Fake::of(&[(2, ERROR_ACCESS_DENIED)]);
    let mut statistics = Statistics::default();
    let mut sockets = [socket(1), socket(2), socket(3)];
    statistics.add_from(&stack, &mut sockets, true, unscoped);
    assert_eq!(sockets.map(|socket| socket.tcp.is_some()), [true, false, false]);
    statistics.add_from(&stack, &mut [socket(1), socket(3)], true, unscoped);
    assert_eq!(*stack.enabled.borrow(), [1, 2], "nobody is asked any more");
    let status = statistics.status();
    assert!(status.tier.is_none() && status.reason.is_some() && status.remedy.is_some());
}

#[test]
fn what_is_not_to_be_had_is_said_from_the_beginning_and_nobody_is_asked() {
    for (has_them, is_elevated, reason) in
        [(true, false, "administrator"), (false, false, "this Windows"), (false, true, "this Windows")]
    {
        let (stack, mut statistics) = (Fake::default(), Statistics::of(has_them, is_elevated));
        statistics.add_from(&stack, &mut [socket(1)], true, unscoped);
        assert!(stack.enabled.borrow().is_empty());
        let status = statistics.status();
        assert!(status.tier.is_none() && status.reason.unwrap().contains(reason));
        assert_eq!(status.remedy.is_some(), has_them, "no right gives what is not there");
    }
    assert!(Statistics::of(true, true).status().reason.is_none());
}
