//! What a live capture is asked for; the same on every system.

use pcap_filter::LinkType as FilterLink;
use pcap_io::Direction;
use pcap_io::format::LinkType;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveCaptureOptions {
    /// Empty: all of them, the ones to come too.
    pub interfaces: Vec<String>,
    /// The most octets that are kept of a packet.
    pub snaplen: u32,
    /// `None`: both.
    pub direction: Option<Direction>,
    /// The size of the ring of each CPU.
    pub ring_kib: u32,
    /// Ask the interface for packets to other hosts.
    pub promiscuous: bool,
    /// Find out whose the packets are.
    pub owners: bool,
    /// See frames where they arrive, and not what the stack makes of them: in one direction, without processes.
    pub xdp: bool,
    /// The network namespace that the interfaces are in, if it is not this process's.
    pub netns: Option<String>,
    pub choice: Choice,
}

/// Whose packets are wanted; nothing at all: everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    pub pids: Vec<u32>,
    pub process: Option<String>,
    pub container: Option<String>,
    /// A name or a number.
    pub user: Option<String>,
    /// A command that is to be started, and its children.
    pub command: bool,
}

/// What the compiler of filters calls a link type; `None` if it cannot filter there.
#[must_use]
pub fn filter_link(link: LinkType) -> Option<FilterLink> {
    Some(match link {
        LinkType::ETHERNET => FilterLink::Ethernet,
        LinkType::RAW | LinkType::IPV4 | LinkType::IPV6 => FilterLink::RawIp,
        LinkType::LINUX_SLL => FilterLink::LinuxCookedOld,
        LinkType::LINUX_SLL2 => FilterLink::LinuxCooked,
        _ => return None,
    })
}

/// What system this is, as a file's header says it.
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
