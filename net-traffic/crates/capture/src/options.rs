//! The options of a live capture, the same on every system.

use pcap_io::Direction;

/// The options of a live capture, as the user set them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveCaptureOptions {
    /// The names of the interfaces. Empty: all interfaces, and those that appear later.
    pub interfaces: Vec<String>,
    /// The most bytes to keep of a packet.
    pub snaplen: u32,
    /// `None`: both directions.
    pub direction: Option<Direction>,
    /// The size of the ring of each CPU.
    pub ring_kib: u32,
    /// Set the interface to promiscuous mode.
    pub promiscuous: bool,
    /// Attribute packets to processes.
    pub owners: bool,
    /// Capture in XDP: frames as the driver received them, before GRO; inbound only, without processes.
    pub xdp: bool,
    /// The network namespace of the interfaces. `None`: the namespace of this process.
    pub netns: Option<String>,
    /// Which owners' packets to keep.
    pub choice: OwnerFilter,
}

/// Keeps only the packets of certain processes. The empty filter keeps all packets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnerFilter {
    /// Process ids.
    pub pids: Vec<u32>,
    /// The name of the process.
    pub process: Option<String>,
    /// The name or id of the container.
    pub container: Option<String>,
    /// The name or number of the user.
    pub user: Option<String>,
    /// The command that the capture starts, and its descendants.
    pub command: bool,
}

/// The name and release of the system, for the header of a pcapng file.
#[must_use]
pub fn system() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let name = match std::env::consts::OS {
        "linux" => "Linux",
        "windows" => "Windows",
        other => other,
    };
    format!("{name} {}", release.trim()).trim_end().to_owned()
}

/// Nanoseconds since 1970.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is where clocks are read")]
pub fn now_ns() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
