//! What one reading of the machine gives: cumulative counters and facts, no rates, no clocks, no behaviour.
//!
//! A field that the source could not observe is `None`; it is never zero and never a guess.
//! A snapshot serialises to one line of JSON, so a recording replays exactly what was read.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Everything that was read at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// When the reading began.
    pub at: Time,
    /// The host's name, as `uname -n` prints it.
    pub host: String,
    /// Live sockets, and those that closed since the previous snapshot (`closed`).
    pub sockets: Vec<Socket>,
    /// Processes that own a socket or have moved bytes; an ended one stays until it was reported once.
    pub processes: Vec<Process>,
    /// The names of those `Socket::uid` whose process is not known.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub users: BTreeMap<u32, String>,
    pub interfaces: Vec<Interface>,
    /// When the counters of the interfaces were read, on the clock of [`Time::monotonic_ns`]; `None`: at `at`. What is read
    /// before them may take long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interfaces_at_ns: Option<u64>,
    /// Those of `processes` that descend from this program, where it was asked to trace them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traced: Vec<ProcessId>,
    /// Containers that own one of `processes`.
    pub containers: Vec<Container>,
    /// What crossed the interfaces, and whose it was; empty where nothing watches them.
    #[serde(default)]
    pub wire: Vec<Wire>,
    pub loss: Loss,
    pub cost: Cost,
    /// One entry a slot: what counts it, or why nothing does.
    pub status: Vec<Status>,
}

/// A moment on both clocks: `unix_ns` to print, `monotonic_ns` to divide by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Time {
    /// Nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_ns: i64,
    /// Nanoseconds since boot, as `CLOCK_MONOTONIC` counts them.
    pub monotonic_ns: u64,
}

/// A socket's identity while it lives and after: the kernel's cookie, never used twice between two boots.
/// Where a kernel gives no cookie (Windows), the source makes one that is as unique.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SocketId(pub u64);

/// A process's identity: PIDs are used again, a PID with its start time is not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// The thread group's id, in the initial PID namespace.
    pub pid: u32,
    /// The start time in clock ticks since boot, modulo 2^32 (field 22 of /proc/PID/stat).
    pub start_ticks: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    Tcp,
    Udp,
    Mptcp,
    Sctp,
    Icmp,
    Icmpv6,
    Raw,
    Packet,
}

/// The states as OpenTelemetry spells them. A UDP socket is `established` when connected, else `close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    Established,
    SynSent,
    SynReceived,
    #[serde(rename = "fin_wait_1")]
    FinWait1,
    #[serde(rename = "fin_wait_2")]
    FinWait2,
    TimeWait,
    Closed,
    CloseWait,
    LastAck,
    Listen,
    Closing,
}

/// One end of a socket. An address that is not set reads as `0.0.0.0` or `::`, a port that is not set as 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Endpoint {
    pub address: IpAddr,
    pub port: u16,
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::net::SocketAddr::new(self.address, self.port).fmt(f)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Socket {
    pub id: SocketId,
    pub protocol: Protocol,
    pub local: Endpoint,
    /// `None` for a socket without a peer: listening, or not connected.
    pub remote: Option<Endpoint>,
    pub state: State,
    /// The network namespace's inode, as `ls -l /proc/self/ns/net` prints it.
    pub netns: Option<u32>,
    /// The interface that the socket is bound to.
    pub ifindex: Option<u32>,
    /// Who sent or received first, else who holds the descriptor.
    pub owner: Option<ProcessId>,
    /// The numeric user that made the socket.
    pub uid: Option<u32>,
    pub inode: Option<u64>,
    /// Payload that the application received and sent over the socket's whole life; for UDP, where no kernel
    /// keeps that, since the tool began to count.
    pub lifetime: Option<Bytes>,
    /// The same since the tool began to count; `None` where nothing counts.
    pub counted: Option<Bytes>,
    pub tcp: Option<TcpInfo>,
    /// Bytes that arrived and were not read, and bytes written and not acknowledged.
    /// For a listening socket: connections that wait to be accepted, and the backlog's limit.
    pub rx_queue: Option<u32>,
    pub tx_queue: Option<u32>,
    /// When the socket was established, where that was seen, on the monotonic clock.
    pub opened_ns: Option<u64>,
    /// The socket was destroyed; these are its final counters.
    pub closed: bool,
}

impl Default for Socket {
    /// An unbound, closed TCP socket of which nothing was observed.
    fn default() -> Self {
        let unbound = Endpoint { address: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), port: 0 };
        Self {
            id: SocketId::default(),
            protocol: Protocol::Tcp,
            local: unbound,
            remote: None,
            state: State::Closed,
            netns: None,
            ifindex: None,
            owner: None,
            uid: None,
            inode: None,
            lifetime: None,
            counted: None,
            tcp: None,
            rx_queue: None,
            tx_queue: None,
            opened_ns: None,
            closed: false,
        }
    }
}

/// Payload received and sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bytes {
    pub rx: u64,
    pub tx: u64,
}

/// What the TCP stack itself knows of a connection.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TcpInfo {
    pub rtt_us: Option<u32>,
    pub rtt_var_us: Option<u32>,
    /// Segments that were sent again, over the connection's life.
    pub retransmits: Option<u32>,
    pub retransmitted_bytes: Option<u64>,
    /// The congestion window, in segments.
    pub cwnd: Option<u32>,
    pub mss: Option<u32>,
    /// The least round-trip time of late: the path without its queues.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_rtt_us: Option<u32>,
    /// How long the connection had something to send, and of that, how long the receiver's window and the socket's
    /// own buffer held it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rwnd_limited_us: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sndbuf_limited_us: Option<u64>,
    /// The window that the receiver advertised last, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snd_wnd: Option<u32>,
    /// By how many bits it is shifted, which bounds what the receiver can advertise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snd_wscale: Option<u8>,
}

/// How long one processor has done what since boot, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cpu {
    pub id: u32,
    pub total: u64,
    pub idle: u64,
    /// Handling packets and other deferred work of interrupts.
    pub softirq: u64,
}

/// The queue in front of an interface, as `tc -s qdisc` prints it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    pub ifindex: u32,
    /// `fq_codel`, `tbf`, `noqueue`, …
    pub kind: String,
    pub drops: u32,
    /// How often it held a packet back to keep a rate.
    pub overlimits: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Process {
    pub id: ProcessId,
    /// The name as `ps -o comm` prints it; of the process, not of a thread.
    pub name: String,
    pub command: Option<String>,
    pub uid: Option<u32>,
    pub user: Option<String>,
    /// `Container::id` of the container it runs in.
    pub container: Option<String>,
    /// The path below the cgroup mount.
    pub cgroup: Option<String>,
    /// Payload it received and sent since the tool began to count; `None` where nothing counts.
    pub counted: Option<Bytes>,
    pub exited: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Container {
    /// The runtime's full id.
    pub id: String,
    pub name: Option<String>,
    /// `docker`, `containerd`, `podman`, `kubernetes`, `lxc`, `systemd-nspawn`.
    pub runtime: String,
}

/// The counters of `ip -s -s link`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interface {
    pub index: u32,
    pub name: String,
    pub netns: Option<u32>,
    pub up: bool,
    pub mtu: Option<u32>,
    pub rx: InterfaceCounters,
    pub tx: InterfaceCounters,
    pub multicast: u64,
    pub collisions: u64,
    /// The addresses it holds; they tell which interface a connection leaves by when its socket is not bound to one.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// The network namespaces that reach this one through it: of a veth the namespace of its peer, of a bridge
    /// those of all its ports.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub behind: Vec<u32>,
}

/// One direction of an interface. `detail` has the causes that add up to `errors`, in the kernel's names.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InterfaceCounters {
    pub bytes: u64,
    pub packets: u64,
    pub errors: u64,
    pub dropped: u64,
    /// `missed`, `crc`, `fifo`, `carrier`, … with their counts.
    pub detail: Vec<(String, u64)>,
}

/// What crossed one interface in one direction since the tool began to watch it, by whose it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wire {
    pub ifindex: u32,
    pub interface: String,
    pub netns: Option<u32>,
    pub direction: Direction,
    /// How much the interface's own counters have grown.
    pub interface_bytes: u64,
    pub interface_packets: u64,
    /// Bytes of the link header that the interface's counter leaves out of each packet.
    pub left_out: u32,
    /// It counts packets as they are after it has encrypted them, and its own handshakes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub encrypts: bool,
    pub process: Passed,
    pub kernel: Passed,
    pub forwarded: Passed,
    /// What the hook saw and could not tell.
    pub unknown: Passed,
    /// What XDP saw of it before, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arrived: Option<Arrived>,
}

/// What an interface received, before anything could drop it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    pub packets: u64,
    pub bytes: u64,
    /// In the driver, before the stack joins segments to large packets.
    pub native: bool,
}

/// As the interface's own counters have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    Rx,
    Tx,
}

/// What passed the hook. A packet there may be several segments on the wire.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passed {
    /// As the hook saw them.
    pub packets: u64,
    pub bytes: u64,
    /// As they are when each segment has its own headers.
    pub segments: u64,
    pub segment_bytes: u64,
    /// The part of `bytes` that is payload which had not passed before.
    pub payload: u64,
    /// How many of `packets` and `segments` have a VLAN tag beside them, which is in none of the bytes above.
    #[serde(default)]
    pub tagged: u64,
    #[serde(default)]
    pub tagged_segments: u64,
}

/// The loss ledger: events that the tool failed to count, by cause. Every output shows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// Entries for which a map had no room; a process's bytes are in the process "other", a packet's unattributed.
    pub map_full: u64,
    /// Additions that found a map busy; the same.
    #[serde(default)]
    pub map_busy: u64,
    /// Sockets whose storage the kernel refused.
    pub storage_failed: u64,
    /// Records that found the kernel's ring full.
    pub ring_full: u64,
    /// Records that found the tool's own queue full.
    pub queue_full: u64,
    /// Events for which the kernel skipped our program, or that had no sense.
    pub missed_hooks: u64,
}

/// What the tool itself costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cost {
    /// Time spent in our eBPF programs; `None` unless the kernel measures it (`kernel.bpf_stats_enabled`).
    pub bpf_run_ns: Option<u64>,
    pub user_cpu_ms: Option<u64>,
    pub rss_bytes: Option<u64>,
    pub map_bytes: Option<u64>,
}

/// What fills one slot of the accounting, and why not something better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// `tcp_send`, `tcp_recv`, `udp_send`, `socket_close`, `sockets`, `owners`, …
    pub slot: String,
    /// `tp-btf`, `fentry`, `kprobe`, `cgroup`, `iter`, `polling`; `None` when nothing fills it.
    pub tier: Option<String>,
    /// The eBPF program or the interface of the OS.
    pub program: Option<String>,
    /// What this way of filling it sees.
    #[serde(default)]
    pub covers: Option<String>,
    /// Why a preferred way was refused, or what is missing, in the kernel's words.
    pub reason: Option<String>,
    /// What the user can do about it: a capability, a command, a setting.
    pub remedy: Option<String>,
}
