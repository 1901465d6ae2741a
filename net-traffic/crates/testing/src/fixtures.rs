//! Snapshots, sockets and processes with plain values. A test overrides the fields that it is about:
//! `Socket { closed: true, ..socket(1) }`.

use net_traffic_snapshot::{Endpoint, Process, ProcessId, Protocol, Snapshot, Socket, SocketId, State, Time};

/// 2026-01-31 12:00 UTC.
const TIME_NS: i64 = 1_769_860_800_000_000_000;

/// An empty snapshot of the host `web-1`, with this time on the monotonic clock.
pub fn snapshot(second: u64) -> Snapshot {
    let at = Time { unix_ns: TIME_NS, monotonic_ns: second * 1_000_000_000 };
    Snapshot { at, host: "web-1".to_owned(), ..Snapshot::default() }
}

/// An established TCP connection from 192.0.2.1:443 to 198.51.100.1:50000. Everything else is unknown.
pub fn socket(id: u64) -> Socket {
    Socket {
        id: SocketId(id),
        protocol: Protocol::Tcp,
        local: endpoint("192.0.2.1", 443),
        remote: Some(endpoint("198.51.100.1", 50_000)),
        state: State::Established,
        ..Socket::default()
    }
}

/// A running process with the name `pPID`. Everything else is unknown.
pub fn process(pid: u32) -> Process {
    Process {
        id: ProcessId { pid, start_ticks: 1 },
        name: format!("p{pid}"),
        command: None,
        uid: None,
        user: None,
        container: None,
        cgroup: None,
        counted: None,
        exited: false,
    }
}

pub fn endpoint(address: &str, port: u16) -> Endpoint {
    Endpoint { address: address.parse().unwrap(), port }
}
