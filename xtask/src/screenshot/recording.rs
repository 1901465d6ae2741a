//! Generates the recording of a plausible server: the same bytes each time, in the format of `net-traffic record`.
//!
//! Addresses are those for documentation (RFC 5737, RFC 3849), except for the containers' private ones.

use serde_json::{Value, json};

use super::host::{CONNECTIONS, CONTAINERS, Connection, INTERFACES, PROCESSES};

/// 2026-01-31T12:00:00Z.
const START_UNIX_S: u64 = 1_769_860_800;
/// Since boot.
const START_MONOTONIC_S: u64 = 86_400;
const HOST_NETNS: u32 = 4_026_531_840;
const NANOSECONDS: u64 = 1_000_000_000;
/// Bytes of an Ethernet frame per 1000 bytes of payload, for the interfaces' counters.
const FRAME_BYTES_PER_1000: u64 = 1046;

/// The recording, one snapshot per second. The first snapshot is the tool's start.
pub(super) fn generate(seconds: u64) -> String {
    let mut lines = vec![json!({"format": "net-traffic-recording", "version": 1})];
    let mut counted = vec![[0_u64; 2]; CONNECTIONS.len()];
    for second in 0..=seconds {
        if second > 0 {
            for (bytes, connection) in counted.iter_mut().zip(&CONNECTIONS) {
                let moved = connection.moved(second);
                *bytes = [bytes[0] + moved[0], bytes[1] + moved[1]];
            }
        }
        lines.push(snapshot(second, &counted));
    }
    lines.iter().flat_map(|line| [line.to_string(), "\n".to_owned()]).collect()
}

fn snapshot(second: u64, counted: &[[u64; 2]]) -> Value {
    let open = || {
        CONNECTIONS.iter().zip(counted).enumerate().filter(|(_, (connection, _))| connection.from <= second)
    };
    let sockets: Vec<_> =
        open().map(|(id, (connection, bytes))| socket(id + 1, connection, *bytes)).collect();
    let sum = |holds: &dyn Fn(&Connection) -> bool| {
        let moved = open().filter(|(_, (connection, _))| holds(connection));
        moved.fold([0, 0], |sum, (_, (_, bytes))| [sum[0] + bytes[0], sum[1] + bytes[1]])
    };
    let processes: Vec<_> = PROCESSES
        .iter()
        .map(|process| {
            let container = process.container.map(|at| CONTAINERS[at].id);
            json!({
                "id": {"pid": process.pid, "start_ticks": 100}, "name": process.name, "user": process.user,
                "container": container, "counted": bytes(sum(&|connection| connection.pid == process.pid)),
                "exited": false,
            })
        })
        .collect();
    let interfaces: Vec<_> = INTERFACES
        .iter()
        .zip(1_u64..)
        .map(|(interface, index)| {
            let own = sum(&|connection| interface.addresses.contains(&connection.local.0));
            let [rx, tx] = [0, 1].map(|at| interface.before[at] + own[at] * FRAME_BYTES_PER_1000 / 1000);
            json!({
                "index": index, "name": interface.name, "netns": HOST_NETNS, "up": true, "mtu": 1500,
                "rx": counters(rx), "tx": counters(tx), "multicast": 0, "collisions": 0,
                "addresses": interface.addresses,
            })
        })
        .collect();
    let containers: Vec<_> = CONTAINERS
        .iter()
        .map(|container| json!({"id": container.id, "name": container.name, "runtime": "docker"}))
        .collect();
    let status = ["tcp_send", "tcp_recv", "udp_send", "udp_recv"]
        .map(|slot| json!({"slot": slot, "tier": "tp-btf", "program": format!("nt_{slot}")}));
    json!({
        "at": {
            "unix_ns": (START_UNIX_S + second) * NANOSECONDS,
            "monotonic_ns": (START_MONOTONIC_S + second) * NANOSECONDS,
        },
        "host": "web-1", "sockets": sockets, "processes": processes, "interfaces": interfaces,
        "containers": containers,
        "loss": {"map_full": 0, "storage_failed": 0, "ring_full": 0, "queue_full": 0, "missed_hooks": 0},
        "cost": {"user_cpu_ms": 90 + 4 * second, "rss_bytes": 14_200_000, "map_bytes": 4_300_000},
        "status": status,
    })
}

fn socket(id: usize, connection: &Connection, counted: [u64; 2]) -> Value {
    let lifetime = [0, 1].map(|at| connection.before[at] + counted[at]);
    let tcp = (connection.protocol == "tcp").then(|| {
        json!({"rtt_us": connection.rtt_us, "rtt_var_us": connection.rtt_us / 4,
            "retransmits": connection.retransmits, "cwnd": 10, "mss": 1448})
    });
    json!({
        "id": id, "protocol": connection.protocol, "local": endpoint(connection.local),
        "remote": endpoint(connection.remote), "state": "established", "netns": HOST_NETNS,
        "owner": {"pid": connection.pid, "start_ticks": 100}, "lifetime": bytes(lifetime),
        "counted": bytes(counted), "tcp": tcp, "closed": false,
    })
}

fn endpoint((address, port): (&str, u16)) -> Value {
    json!({"address": address, "port": port})
}

fn bytes([rx, tx]: [u64; 2]) -> Value {
    json!({"rx": rx, "tx": tx})
}

fn counters(bytes: u64) -> Value {
    json!({"bytes": bytes, "packets": bytes / 900, "errors": 0, "dropped": 0, "detail": []})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recording_is_reproducible() {
        assert_eq!(generate(5), generate(5));
        assert_eq!(generate(5).lines().count(), 7);
    }

    #[test]
    fn processes_sum_their_connections() {
        let recording = generate(60);
        let last: Value = serde_json::from_str(recording.lines().last().unwrap()).unwrap();
        let sum = |list: &str| -> u64 {
            let rows = last[list].as_array().unwrap().iter();
            rows.map(|row| row["counted"]["tx"].as_u64().unwrap()).sum()
        };
        assert!(sum("sockets") > 0);
        assert_eq!(sum("sockets"), sum("processes"));
    }
}
