//! The figures of a throughput test and its request; data only.

use serde::Serialize;

use net_traffic_snapshot::{Cpu, Endpoint, Queue};

/// The user's request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TestRequest {
    pub udp: bool,
    /// The requested upper limit of each stream, in bits per second.
    pub bps: Option<u64>,
    /// Datagrams lost and sent, if the test's own report has them.
    pub datagrams: Option<(u64, u64)>,
}

/// The load of the host beside the sockets: processors and qdiscs.
#[derive(Clone, Debug, Default)]
pub struct HostLoad {
    pub cpus: Vec<Cpu>,
    pub queues: Vec<Queue>,
}

/// The evidence for the cause, between the first and the last reading of a test.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Observations {
    pub seconds: f64,
    pub streams: Vec<StreamStats>,
    pub interfaces: Vec<InterfaceDelta>,
    /// Other processes on the same interface, the busiest first.
    pub other_processes: Vec<OtherProcess>,
    pub cores: Vec<CpuLoad>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamStats {
    #[serde(skip)]
    pub local: Endpoint,
    #[serde(skip)]
    pub remote: Option<Endpoint>,
    pub local_port: u16,
    pub remote_port: Option<u16>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub seconds: f64,
    /// The transfer up to the reading before the last. The last reading includes an idle time of unknown length.
    #[serde(skip)]
    pub before: Option<Transfer>,
    /// Time with data to send (`tcpi_busy_time`); the next two are parts of it.
    /// <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/tcp.h#L278>
    pub busy_us: Option<u64>,
    pub rwnd_limited_us: Option<u64>,
    pub sndbuf_limited_us: Option<u64>,
    pub retransmits: Option<u32>,
    pub retransmitted_bytes: Option<u64>,
    pub rtt_min_us: Option<u32>,
    /// The highest that was read under load.
    pub rtt_max_us: Option<u32>,
    /// The receiver's window: the widest and the narrowest reading.
    pub rwnd_max_bytes: Option<u32>,
    pub rwnd_min_bytes: Option<u32>,
    /// The widest possible window with the negotiated scale (RFC 7323).
    pub rwnd_possible_bytes: Option<u32>,
    /// The most bytes in the receive queue.
    pub unread_max_bytes: u32,
}

/// The bytes of a stream within a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Transfer {
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InterfaceDelta {
    pub name: String,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// Packets that the interface itself dropped, in both directions.
    pub dropped: u64,
    /// The kind of its root qdisc, its drops, and how often it delayed a packet to keep a rate.
    pub queue: Option<String>,
    pub queue_drops: u64,
    pub queue_overlimits: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherProcess {
    pub pid: Option<u32>,
    pub process: Option<String>,
    pub bytes: u64,
}

/// One processor; parts of the time, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct CpuLoad {
    pub id: u32,
    pub busy: f64,
    pub softirq: f64,
}
