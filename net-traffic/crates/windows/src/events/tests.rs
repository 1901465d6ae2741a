//! Passes hand-made events through the callback, the tallies and the accounts.

mod flows;
mod network;
mod packets;
mod watch;
mod wifi;

use std::net::IpAddr;

use super::kernel_network::Event;
use super::{Callback, Entry, PidResolver, Queue, Tallies, queue};
use net_traffic_snapshot::{Endpoint, ProcessId, Protocol, State};

/// Each PID belongs to a process that started at 100, and before to another one.
struct Fixed;

impl PidResolver for Fixed {
    fn process_at(&mut self, pid: u32, time: i64) -> ProcessId {
        ProcessId { pid, start_ticks: if time < 100 { 0 } else { 100 } }
    }
}

/// The payload of an event.
fn payload(pid: u32, size: u32, source: &str, destination: &str) -> Vec<u8> {
    let (source, destination) = (end(source), end(destination));
    let mut octets = [pid.to_le_bytes(), size.to_le_bytes()].concat();
    for end in [destination, source] {
        match end.address {
            IpAddr::V4(address) => octets.extend(address.octets()),
            IpAddr::V6(address) => octets.extend(address.octets()),
        }
    }
    octets.extend(destination.port.to_be_bytes());
    octets.extend(source.port.to_be_bytes());
    octets
}

fn end(text: &str) -> Endpoint {
    let address: std::net::SocketAddr = text.parse().unwrap();
    Endpoint { address: address.ip(), port: address.port() }
}

fn entry(protocol: Protocol, pid: u32, local: &str, remote: Option<&str>, created: i64) -> Entry {
    let state = if remote.is_some() { State::Established } else { State::Closed };
    Entry { protocol, local: end(local), remote: remote.map(end), state, pid, created, scopes: [0; 2] }
}

fn drain(queue: &Queue) -> Vec<Event> {
    queue.events.try_iter().collect()
}

/// A queue that does not fill up in a test.
fn large_queue() -> (Callback, Queue) {
    queue(1 << 16)
}

fn sum(queue: &Queue) -> Tallies {
    let mut tallies = Tallies::default();
    for event in drain(queue) {
        tallies.add(&event);
    }
    tallies
}
