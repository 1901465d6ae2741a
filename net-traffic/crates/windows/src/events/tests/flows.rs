//! Tests the assignment of bytes: orientation, old connections, ends, reuse, datagrams without a row.

use super::*;
use crate::events::{Accounts, Batch, Reading};
use net_traffic_snapshot::{Bytes, Socket};

const LOCAL: &str = "192.0.2.1:40000";
const REMOTE: &str = "198.51.100.7:443";

/// A sequence of readings.
#[derive(Default)]
struct Scenario {
    accounts: Accounts,
    at_ns: u64,
}

impl Scenario {
    /// Takes a reading one second later, with these events and rows.
    fn read(&mut self, events: &[(u16, Vec<u8>)], entries: &[Entry]) -> Vec<Socket> {
        self.read_at(200, events, entries)
    }

    fn read_at(&mut self, time: i64, events: &[(u16, Vec<u8>)], entries: &[Entry]) -> Vec<Socket> {
        let (callback, queue) = large_queue();
        for (id, octets) in events {
            callback.push(*id, time, octets);
        }
        let batch = sum(&queue).take();
        self.advance(&batch, entries)
    }

    fn advance(&mut self, batch: &Batch, entries: &[Entry]) -> Vec<Socket> {
        self.at_ns += 1_000_000_000;
        let addresses = ["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()];
        let reading = Reading { at_ns: self.at_ns, entries, addresses: &addresses };
        self.accounts.advance(batch, &reading, &mut Fixed)
    }

    fn process(&self, pid: u32) -> Option<Bytes> {
        self.accounts.processes().get(&ProcessId { pid, start_ticks: 100 }).copied()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "sockets and processes have an Option")]
fn moved(rx: u64, tx: u64) -> Option<Bytes> {
    Some(Bytes { rx, tx })
}

#[test]
fn old_connection_counts_from_the_session_start() {
    let mut scenario = Scenario::default();
    let row = [entry(Protocol::Tcp, 7, LOCAL, Some(REMOTE), 55)];
    let before = scenario.read(&[], &row);
    assert_eq!((before.len(), before[0].counted), (1, moved(0, 0)));
    let after =
        scenario.read(&[(10, payload(7, 5, LOCAL, REMOTE)), (11, payload(7, 9, LOCAL, REMOTE))], &row);
    assert_eq!((after.len(), after[0].counted, after[0].id), (1, moved(9, 5), before[0].id));
    assert_eq!(after[0].owner, Some(ProcessId { pid: 7, start_ticks: 100 }));
    assert_eq!(scenario.process(7), moved(9, 5));
}

#[test]
fn both_orientations_are_the_same_connection() {
    let row = [entry(Protocol::Tcp, 7, LOCAL, Some(REMOTE), 55)];
    for [source, destination] in [[LOCAL, REMOTE], [REMOTE, LOCAL]] {
        let events = [(10, payload(7, 5, source, destination)), (11, payload(7, 9, source, destination))];
        let mut scenario = Scenario::default();
        assert_eq!(scenario.read(&events, &row)[0].counted, moved(9, 5));
        // Without a row the local addresses decide.
        let sockets = Scenario::default().read(&events, &[]);
        assert_eq!(sockets.len(), 1);
        assert_eq!((sockets[0].local, sockets[0].remote), (end(LOCAL), Some(end(REMOTE))));
    }
}

#[test]
fn loopback_endpoints_are_distinguished_by_their_owners() {
    let (client, server) = ("127.0.0.1:40000", "127.0.0.1:80");
    let rows =
        [entry(Protocol::Tcp, 1, client, Some(server), 0), entry(Protocol::Tcp, 2, server, Some(client), 0)];
    // The client sends, the server receives; the second orientation is the wrong one.
    for [source, destination] in [[server, client], [client, server]] {
        let events = [(10, payload(1, 100, client, server)), (11, payload(2, 100, source, destination))];
        let sockets = Scenario::default().read(&events, &rows);
        assert_eq!(sockets.len(), 2);
        assert_eq!((sockets[0].counted, sockets[1].counted), (moved(0, 100), moved(100, 0)));
    }
}

#[test]
fn connection_without_a_row_is_reported_with_its_end() {
    let mut scenario = Scenario::default();
    let events = [
        (12, payload(7, 0, LOCAL, REMOTE)),
        (10, payload(7, 5, LOCAL, REMOTE)),
        (13, payload(7, 0, LOCAL, REMOTE)),
    ];
    let first = scenario.read(&events, &[]);
    let second = scenario.read(&[], &[]);
    let all: Vec<&Socket> = first.iter().chain(&second).collect();
    assert!(all.iter().all(|socket| socket.counted == moved(0, 5) && socket.id == all[0].id));
    assert_eq!(all.iter().filter(|socket| socket.closed).count(), 1);
    assert!(scenario.read(&[], &[]).is_empty());
}

#[test]
fn events_after_the_row_has_gone_are_counted() {
    let mut scenario = Scenario::default();
    let row = [entry(Protocol::Tcp, 7, LOCAL, Some(REMOTE), 55)];
    let id = scenario.read(&[(10, payload(7, 5, LOCAL, REMOTE))], &row)[0].id;
    let late = scenario.read(&[(10, payload(7, 6, LOCAL, REMOTE))], &[]);
    assert_eq!((late[0].id, late[0].counted, late[0].closed), (id, moved(0, 11), false));
    let mut ends = 0;
    for _ in 0..5 {
        for socket in scenario.read(&[], &[]) {
            assert_eq!((socket.id, socket.counted), (id, moved(0, 11)));
            ends += u32::from(socket.closed);
        }
    }
    assert_eq!(ends, 1);
}

#[test]
fn reused_endpoints_are_another_connection() {
    let mut scenario = Scenario::default();
    let old = [entry(Protocol::Tcp, 7, LOCAL, Some(REMOTE), 55)];
    let id = scenario.read(&[(10, payload(7, 5, LOCAL, REMOTE))], &old)[0].id;
    let new = [entry(Protocol::Tcp, 7, LOCAL, Some(REMOTE), 56)];
    let sockets = scenario.read(
        &[
            (10, payload(7, 1, LOCAL, REMOTE)),
            (13, payload(7, 0, LOCAL, REMOTE)),
            (12, payload(7, 0, LOCAL, REMOTE)),
            (10, payload(7, 2, LOCAL, REMOTE)),
        ],
        &new,
    );
    let ended = sockets.iter().find(|socket| socket.closed).unwrap();
    let lives = sockets.iter().find(|socket| !socket.closed).unwrap();
    assert_eq!((ended.id, ended.counted), (id, moved(0, 6)));
    assert_eq!(lives.counted, moved(0, 2));
    assert_ne!(lives.id, id);
    assert_eq!(scenario.process(7), moved(0, 8));
}

#[test]
fn reused_pid_is_resolved_by_event_time() {
    let mut scenario = Scenario::default();
    scenario.read_at(50, &[(10, payload(7, 5, LOCAL, REMOTE))], &[]);
    scenario.read_at(150, &[(10, payload(7, 6, LOCAL, REMOTE))], &[]);
    let before = scenario.accounts.processes().get(&ProcessId { pid: 7, start_ticks: 0 });
    assert_eq!((before.copied(), scenario.process(7)), (moved(0, 5), moved(0, 6)));
}

#[test]
fn ended_process_keeps_its_bytes() {
    let mut scenario = Scenario::default();
    scenario.read(&[(11, payload(7, 5, LOCAL, REMOTE))], &[]);
    for _ in 0..10 {
        scenario.read(&[], &[]);
    }
    assert_eq!(scenario.process(7), moved(5, 0));
}

#[test]
fn datagrams_belong_to_the_row_of_their_port() {
    let mut scenario = Scenario::default();
    let rows =
        [entry(Protocol::Udp, 7, "0.0.0.0:5353", None, 9), entry(Protocol::Udp, 8, "0.0.0.0:5353", None, 10)];
    // The source of a received datagram is the sender.
    let events = [
        (42, payload(7, 5, "192.0.2.1:5353", "224.0.0.251:5353")),
        (43, payload(7, 9, "198.51.100.9:5353", "192.0.2.1:5353")),
        (43, payload(8, 9, "198.51.100.9:5353", "192.0.2.1:5353")),
    ];
    let sockets = scenario.read(&events, &rows);
    assert_eq!(sockets.len(), 2, "{sockets:#?}");
    assert_eq!((sockets[0].counted, sockets[1].counted), (moved(9, 5), moved(9, 0)));
    assert!(sockets.iter().all(|socket| socket.remote.is_none()));
}

#[test]
fn sockets_sharing_a_port_keep_identities_in_any_order() {
    let mut scenario = Scenario::default();
    let row = |created| entry(Protocol::Udp, 7, "0.0.0.0:5353", None, created);
    let (one, other) = (row(9), row(10));
    let events = [(42, payload(7, 5, "192.0.2.1:5353", "224.0.0.251:5353"))];
    let first = scenario.read(&events, &[one, other]);
    assert_eq!((first[0].counted, first[1].counted), (moved(0, 5), moved(0, 0)), "each byte is counted once");
    assert_ne!(first[0].id, first[1].id);
    for (step, rows) in [[one, other], [other, one], [one, other]].iter().enumerate() {
        let sockets = scenario.read(&events, rows);
        assert_eq!(sockets.len(), 2, "none has ended: {sockets:#?}");
        let counted = |id| sockets.iter().find(|it| it.id == id && !it.closed).unwrap().counted;
        let all = 5 * (step as u64 + 2);
        assert_eq!((counted(first[0].id), counted(first[1].id)), (moved(0, all), moved(0, 0)));
    }
    // The socket with the bytes ends. The other one gets the bytes from then on.
    let sockets = scenario.read(&events, &[other]);
    let ended: Vec<&Socket> = sockets.iter().filter(|socket| socket.closed).collect();
    assert_eq!((ended.len(), ended[0].id, ended[0].counted), (1, first[0].id, moved(0, 25)));
    let later = scenario.read(&events, &[other]);
    assert_eq!((later.len(), later[0].id, later[0].counted), (1, first[1].id, moved(0, 5)));
}

#[test]
fn datagrams_belong_to_the_row_of_their_family() {
    let mut scenario = Scenario::default();
    let rows =
        [entry(Protocol::Udp, 7, "0.0.0.0:5353", None, 9), entry(Protocol::Udp, 7, "[::]:5353", None, 10)];
    let events = [(58, payload(7, 5, "[2001:db8::1]:5353", "[ff02::fb]:5353"))];
    let sockets = scenario.read(&events, &rows);
    let of_v6 = sockets.iter().find(|socket| socket.local.address.is_ipv6()).unwrap();
    assert_eq!(of_v6.counted, moved(0, 5));
}

#[test]
fn wildcard_row_does_not_match_remote_addresses() {
    let mut scenario = Scenario::default();
    // A DNS server queries another one, from a port without a row.
    let rows = [entry(Protocol::Udp, 7, "0.0.0.0:53", None, 9)];
    let events = [(42, payload(7, 30, "192.0.2.1:50000", "198.51.100.53:53"))];
    let sockets = scenario.read(&events, &rows);
    let client = sockets.iter().find(|socket| socket.local.port == 50_000).unwrap();
    assert_eq!((client.remote, client.counted), (Some(end("198.51.100.53:53")), moved(0, 30)));
}

#[test]
fn udp_socket_without_a_row_has_its_peer() {
    let mut scenario = Scenario::default();
    let events = [
        (58, payload(7, 30, "[2001:db8::1]:50000", "[2001:db8::53]:53")),
        (59, payload(7, 90, "[2001:db8::53]:53", "[2001:db8::1]:50000")),
    ];
    let sockets = scenario.read(&events, &[]);
    assert_eq!(sockets.len(), 1, "{sockets:#?}");
    assert_eq!(
        (sockets[0].local, sockets[0].remote),
        (end("[2001:db8::1]:50000"), Some(end("[2001:db8::53]:53")))
    );
    assert_eq!((sockets[0].counted, sockets[0].protocol), (moved(90, 30), Protocol::Udp));
    let ends = (0..4).flat_map(|_| scenario.read(&[], &[])).filter(|socket| socket.closed).count();
    assert_eq!(ends, 1);
}

#[test]
fn sum_of_all_processes_has_every_byte() {
    let mut scenario = Scenario::default();
    let mut expected = 0;
    for step in 0..50_u32 {
        let pid = step % 7 + 1;
        let local = format!("192.0.2.1:{}", 40_000 + step % 5);
        scenario.read(
            &[(10, payload(pid, step, &local, REMOTE)), (43, payload(pid, step, REMOTE, &local))],
            &[entry(Protocol::Tcp, pid, &local, Some(REMOTE), i64::from(step % 3))],
        );
        expected += 2 * u64::from(step);
    }
    let sum: u64 = scenario.accounts.processes().values().map(|bytes| bytes.rx + bytes.tx).sum();
    assert_eq!(sum, expected);
}
