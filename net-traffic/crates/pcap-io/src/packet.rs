//! A packet, where it was seen and whose it is: data only, the same from a live capture and from a file.

use std::sync::Arc;

use crate::format::LinkType;

/// Which way a packet went through its interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    In,
    Out,
}

/// Where packets were seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// As the kernel names it; `None` where a file does not say.
    pub name: Option<String>,
    /// What else people know it by.
    pub description: Option<String>,
    /// The kernel's number of it; 0 where a file does not say.
    pub index: u32,
    pub link: LinkType,
    /// The most octets that are kept of a packet.
    pub snaplen: u32,
    /// The expression that chose the packets.
    pub filter: Option<String>,
    /// What the filter accepted of it and did not get into anybody's hands.
    pub missed: Missed,
}

/// Packets of one interface, by the time of the last [`Ledger`]; they are in its numbers, too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Missed {
    pub lost: u64,
    pub left_over: u64,
}

/// A process that packets belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    pub pid: u32,
    pub name: String,
    pub command: Option<String>,
    pub container: Option<Container>,
    /// Its thread, where it has only one: of a process with several it is not known whose the packets are.
    pub thread: Option<u32>,
}

/// The container that a process runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    pub name: Option<String>,
}

impl Container {
    /// Its name, or, where that is not known, the beginning of its id.
    #[must_use]
    pub fn label(&self) -> &str {
        self.name.as_deref().unwrap_or_else(|| self.id.get(..12).unwrap_or(&self.id))
    }
}

/// What the sender or the network card left to be done: one packet of the kernel that is several on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segments {
    pub count: u32,
    pub size: u32,
}

/// What the kernel knew of the checksum of a packet's transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Somebody behind the place where the packet was seen computes it: what stands in the packet is none.
    NotReady,
    /// Somebody before it found it to be right.
    Valid,
}

/// One packet.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    /// Since 1970, in nanoseconds.
    pub time_ns: u64,
    /// Its interface's place in the list of interfaces.
    pub interface: usize,
    pub direction: Option<Direction>,
    /// How long it was; `data` may be less.
    pub length: u32,
    pub data: &'a [u8],
    pub segments: Option<Segments>,
    /// `None` where nothing is known.
    pub checksum: Option<Checksum>,
    /// Shared, so that it is seen at once where packets are of the same.
    pub process: Option<&'a Arc<Process>>,
    /// Packets of the interface that were lost since the one before.
    pub lost_before: u64,
}

/// What became of the packets that the filter accepted, in numbers that add up: what was received was captured, lost
/// for one of the causes, or left over when the capture ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Accepted by the filter in the kernel.
    pub received: u64,
    pub captured: u64,
    /// The ring between the kernel and us had no room.
    pub ring_full: u64,
    /// The kernel could not read the packet's octets.
    pub copy_failed: u64,
    /// The queue to the writer had no room: the disk or the terminal is too slow.
    pub queue_full: u64,
    /// The writer failed.
    pub write_failed: u64,
    /// Not lost, but not wanted any more when the capture ended.
    pub left_over: u64,
    /// Not packets, and in no sum: entries for addresses behind interfaces that the kernel's map had no room for.
    /// Packets to or from one may lack their process.
    pub map_full: u64,
}

impl Ledger {
    /// Packets that were lost, of whatever cause.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.causes().iter().map(|(_, count)| count).sum()
    }

    /// Each cause of loss and how many it cost.
    #[must_use]
    pub fn causes(&self) -> [(&'static str, u64); 4] {
        [
            ("ring_full", self.ring_full),
            ("copy_failed", self.copy_failed),
            ("queue_full", self.queue_full),
            ("write_failed", self.write_failed),
        ]
    }
}
