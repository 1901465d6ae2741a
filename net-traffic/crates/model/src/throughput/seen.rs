//! The figures about a test, and what was asked of it; data only.

use serde::Serialize;

use net_traffic_snapshot::{Cpu, Endpoint, Queue};

/// What the user asked of the test.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Asked {
    pub udp: bool,
    /// Bits per second that each stream was not to exceed.
    pub bps: Option<u64>,
    /// Datagrams lost and sent, where the test's own report has them.
    pub datagrams: Option<(u64, u64)>,
}

/// What is around the sockets.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    pub cpus: Vec<Cpu>,
    pub queues: Vec<Queue>,
}

/// Everything that tells why a test was as fast as it was, between its first and its last reading.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Observations {
    pub seconds: f64,
    pub streams: Vec<StreamSeen>,
    pub interfaces: Vec<InterfaceSeen>,
    /// Who else used the same interface, the busiest first.
    pub other_processes: Vec<OtherSeen>,
    pub cores: Vec<Core>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StreamSeen {
    #[serde(skip)]
    pub local: Endpoint,
    #[serde(skip)]
    pub remote: Option<Endpoint>,
    pub local_port: u16,
    pub remote_port: Option<u16>,
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub seconds: f64,
    /// Until the reading before its last byte was seen: how long it was quiet by the next, nobody knows.
    #[serde(skip)]
    pub before: Option<Moved>,
    /// How long there was something to send; the next two are parts of it.
    pub busy_us: Option<u64>,
    pub rwnd_limited_us: Option<u64>,
    pub sndbuf_limited_us: Option<u64>,
    pub retransmits: Option<u32>,
    pub retransmitted_bytes: Option<u64>,
    pub rtt_min_us: Option<u32>,
    /// The longest that was read under load.
    pub rtt_max_us: Option<u32>,
    /// The receiver's window: the widest and the narrowest that was read.
    pub rwnd_max_bytes: Option<u32>,
    pub rwnd_min_bytes: Option<u32>,
    /// The widest that it could be, by the scale that both sides agreed on.
    pub rwnd_possible_bytes: Option<u32>,
    /// The most that waited here to be read.
    pub unread_max_bytes: u32,
}

/// What a stream moved within a time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moved {
    pub sent_bytes: u64,
    pub received_bytes: u64,
    pub seconds: f64,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct InterfaceSeen {
    pub name: String,
    pub rx_bytes: u64,
    pub tx_bytes: u64,
    /// By the interface itself, in both directions.
    pub dropped: u64,
    /// The kind of its queue, and how often it dropped a packet, or held one back to keep a rate.
    pub queue: Option<String>,
    pub queue_drops: u64,
    pub queue_overlimits: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OtherSeen {
    pub pid: Option<u32>,
    pub process: Option<String>,
    pub bytes: u64,
}

/// Parts of the time, from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Core {
    pub id: u32,
    pub busy: f64,
    pub softirq: f64,
}
