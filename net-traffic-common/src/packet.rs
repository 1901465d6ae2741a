//! A packet on its way from the kernel to user space: the head of its record, and how packets are chosen.

use crate::{ProcessKey, plain};

plain! {
    /// The head of a record; the packet's octets follow, as many as `captured` says.
    pub struct PacketRecord: 40 {
        /// On the monotonic clock.
        pub time_ns: u64,
        /// Whose socket it is; 0 if that is not known.
        pub owner: ProcessKey,
        /// How long the packet is.
        pub length: u32,
        pub captured: u32,
        pub ifindex: u32,
        /// `PACKET_*`.
        pub flags: u32,
        /// The VLAN tag that was taken out of the packet, and the type that announced it, in host order.
        pub vlan_tag: u16,
        pub vlan_type: u16,
        /// Where the packet is several on the wire: how many, and how much each carries.
        pub segments: u16,
        pub segment_size: u16,
    }
}

/// The packet goes out: a bit of [`PacketRecord::flags`].
pub const PACKET_OUT: u32 = 1;
/// A VLAN tag was taken out of it.
pub const PACKET_TAGGED: u32 = 2;
/// The checksum of its transport is still to be computed.
pub const PACKET_CHECKSUM_PARTIAL: u32 = 4;
/// That checksum was found to be right.
pub const PACKET_CHECKSUM_VALID: u32 = 8;

plain! {
    /// What the programs are told before they are loaded.
    pub struct CaptureSettings: 40 {
        /// The most octets of a packet that are kept.
        pub snaplen: u32,
        /// Whose packets are wanted: `CHOOSE_*`; 0 for everybody's.
        pub process_filter: u32,
        /// The name for [`FILTER_NAME`].
        pub name: [u8; 16],
        /// How much may lie in a ring before the reader is woken.
        pub wake_bytes: u32,
        /// How to find out whose the packets are: `OWNERS_*`; 0 for not at all.
        pub owners: u32,
        /// The user for [`FILTER_UID`].
        pub uid: u32,
        pub reserved: u32,
    }
}

/// Only processes that the map `CHOSEN_PIDS` has.
pub const FILTER_PID: u32 = 1;
/// Only processes of this name.
pub const FILTER_NAME: u32 = 2;
/// Only processes in cgroups that the map `CHOSEN_CGROUPS` has.
pub const FILTER_CGROUP: u32 = 4;
/// Only processes of this user.
pub const FILTER_UID: u32 = 8;

/// By what is stored for the capture alone.
pub const OWNERS_FROM_SOCKETS: u32 = 1;
/// By the accounting, and else as before.
pub const OWNERS_FROM_COUNTERS: u32 = 2;

/// In the map `CHOSEN_PIDS`: the children of the process are chosen, too.
pub const FILTER_CHILDREN: u32 = 1;

/// The indices of the map `CAPTURED`: what became of the packets that the filter accepted.
pub mod captured {
    /// The filter accepted the packet, and it is of a chosen process.
    pub const RECEIVED: u32 = 0;
    /// The ring had no room.
    pub const RING_FULL: u32 = 1;
    /// The packet's octets could not be read.
    pub const COPY_FAILED: u32 = 2;
    pub const COUNTERS: u32 = 3;
}

plain! {
    /// Packets that were lost on one interface, by cause.
    pub struct LostPackets: 16 {
        pub ring_full: u64,
        pub copy_failed: u64,
    }
}

plain! {
    /// Where an address is: behind this interface, or one of them, in another network namespace. The key of the map
    /// `INSIDE`, whose values are the kernel's numbers of those.
    pub struct NetnsAddress: 24 {
        /// In network order, IPv4 in the first word.
        pub address: [u32; 4],
        /// Or [`ANY_INTERFACE`].
        pub ifindex: u32,
        pub is_v6: u32,
    }
}

/// Behind whichever interface.
pub const ANY_INTERFACE: u32 = 0;

/// The indices of the map `NEXT`: what a filter calls with a packet that it accepts.
pub mod tail_call {
    pub const CAPTURE_IN: u32 = 0;
    pub const CAPTURE_OUT: u32 = 1;
    pub const PROGRAMS: u32 = 2;
    /// The one of the map `NEXT_XDP`.
    pub const CAPTURE_XDP: u32 = 0;
}

/// The most processors whose packets have a ring.
pub const MAX_CPUS: u32 = 1024;
