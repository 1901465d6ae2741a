//! A packet with its metadata. Plain data, the same from a live capture and from a file.

use std::sync::Arc;

use crate::LinkType;

/// The direction of a packet at its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// An interface whose packets were captured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// The name, `eth0`. `None` if the file has no name.
    pub name: Option<String>,
    /// A name for people, as Windows has it.
    pub description: Option<String>,
    /// The interface index of the capturing kernel. Neither format stores it; 0 after reading.
    pub index: u32,
    /// The header that its packets begin with.
    pub link: LinkType,
    /// The most bytes kept of a packet. 0: no limit.
    pub snaplen: u32,
    /// The expression that selected its packets.
    pub filter: Option<String>,
    /// Packets that the filter accepted and the capture did not write.
    pub missed: Missed,
}

/// Packets of an interface that the filter accepted and the capture did not write.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    /// Packets lost because a buffer was full or a write failed.
    pub lost: u64,
    /// Packets in flight when the capture ended.
    pub left_over: u64,
}

/// The process that sent or received a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// The short name, `comm` on Linux.
    pub name: String,
    /// The command line, its arguments separated by spaces.
    pub command: Option<String>,
    /// The container it runs in.
    pub container: Option<Container>,
    /// The id of its only thread. `None` for a process of several threads: packets are attributed to processes, not to
    /// threads.
    pub thread: Option<u32>,
}

/// The container of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The id that the container runtime gave it.
    pub id: String,
    /// The name that the user gave it.
    pub name: Option<String>,
}

impl Container {
    /// The name, or the first 12 characters of the id, as `docker ps` prints them.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id.get(..12).unwrap_or(&self.id))
    }
}

/// Segmentation offload: one packet of the kernel that is several on the wire (GSO when sent, GRO when received).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    /// The number of packets on the wire.
    pub count: u32,
    /// The most bytes of payload in each.
    pub size: u32,
}

/// The state of a packet's transport checksum at capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Checksum offload: the sender's hardware computes it later. The value in the packet is not a checksum.
    NotReady,
    /// The hardware or the kernel has verified it.
    Valid,
}

/// A captured packet. The bytes and the process are borrowed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Packet<'a> {
    /// Nanoseconds since 1970.
    pub time_ns: u64,
    /// The index of its interface in the list of interfaces.
    pub interface: usize,
    /// `None` if the file does not store the direction.
    pub direction: Option<Direction>,
    /// The length of the packet. `data` is shorter if the capture cut the packet.
    pub length: u32,
    /// The captured bytes, from the link-layer header on.
    pub data: &'a [u8],
    /// `None` for a packet that is one packet on the wire.
    pub segments: Option<Segments>,
    /// `None` if the state is not known.
    pub checksum: Option<Checksum>,
    /// `None` if the process is not known. Packets of one process share the `Arc`.
    pub process: Option<&'a Arc<Process>>,
    /// Packets of this interface lost between the previous packet and this one.
    pub lost_before: u64,
}

impl<'a> Packet<'a> {
    /// A whole packet without metadata, at time 0, of the first interface.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, length: u32::try_from(data.len()).unwrap_or(u32::MAX), ..Self::default() }
    }
}
