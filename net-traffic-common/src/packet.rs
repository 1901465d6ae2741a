//! Captured packets: the head of a packet's record, and the settings and maps of the capture.

use crate::{ProcessKey, plain};

plain! {
    /// The head of a record. `captured` octets of the packet follow.
    pub struct PacketRecord: 40 {
        /// On the monotonic clock.
        pub time_ns: u64,
        /// The owner of the packet's socket; 0 if unknown.
        pub owner: ProcessKey,
        /// The packet's length on the interface.
        pub length: u32,
        pub captured: u32,
        pub ifindex: u32,
        /// `PACKET_*`.
        pub flags: u32,
        /// The VLAN tag that the stack keeps outside the packet ([`skb->vlan_tci`][vlan]), and its Ethernet protocol,
        /// in host order.
        ///
        /// [vlan]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/skbuff.h#L1035-L1036
        pub vlan_tag: u16,
        pub vlan_type: u16,
        /// GSO/GRO: the number of segments, and the payload bytes per segment.
        pub segments: u16,
        pub segment_size: u16,
    }
}

/// The packet is outgoing: a bit of [`PacketRecord::flags`].
pub const PACKET_OUT: u32 = 1;
/// The packet has a VLAN tag.
pub const PACKET_TAGGED: u32 = 2;
/// The transport checksum is not computed yet ([`CHECKSUM_PARTIAL`][partial]).
///
/// [partial]: https://github.com/gregkh/linux/blob/v6.12.117/include/linux/skbuff.h#L250
pub const PACKET_CHECKSUM_PARTIAL: u32 = 4;
/// The transport checksum was verified (`CHECKSUM_UNNECESSARY`).
pub const PACKET_CHECKSUM_VALID: u32 = 8;

plain! {
    /// The settings of a capture, a constant of the programs.
    pub struct CaptureSettings: 40 {
        /// The most octets of a packet that are captured.
        pub snaplen: u32,
        /// The processes whose packets are captured: `FILTER_*`; 0 for all packets.
        pub process_filter: u32,
        /// The name for [`FILTER_NAME`].
        pub name: [u8; 16],
        /// The fill level of a ring at which the reader is woken.
        pub wake_bytes: u32,
        /// The source of owners: `OWNERS_*`; 0 for none.
        pub owners: u32,
        /// The user for [`FILTER_UID`].
        pub uid: u32,
        pub reserved: u32,
    }
}

/// Only processes in the map `nt_filter_pids`.
pub const FILTER_PID: u32 = 1;
/// Only processes of this name.
pub const FILTER_NAME: u32 = 2;
/// Only processes in the cgroups of the map `nt_filter_cgrps`.
pub const FILTER_CGROUP: u32 = 4;
/// Only processes of this user.
pub const FILTER_UID: u32 = 8;

/// Owner from capture's socket storage.
pub const OWNERS_FROM_SOCKETS: u32 = 1;
/// Owner from the byte counters, else from capture's socket storage.
pub const OWNERS_FROM_COUNTERS: u32 = 2;

/// In the map `nt_filter_pids`: children of the process are selected too.
pub const FILTER_CHILDREN: u32 = 1;

/// The indices of the map `nt_captured`, which counts the packets that the packet filter accepted.
pub mod captured {
    /// The process filter selected the packet.
    pub const RECEIVED: u32 = 0;
    /// The ring was full.
    pub const RING_FULL: u32 = 1;
    /// The packet's octets could not be read.
    pub const COPY_FAILED: u32 = 2;
    /// The number of indices.
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
    /// Key of the map `nt_addr_netns`: an address in another network namespace, reachable through `ifindex`. The
    /// value is the namespace's ID ([`netnsid`][id]).
    ///
    /// [id]: https://man7.org/linux/man-pages/man8/ip-netns.8.html
    pub struct NetnsAddress: 24 {
        /// In network order, IPv4 in the first word.
        pub address: [u32; 4],
        /// Or [`ANY_INTERFACE`].
        pub ifindex: u32,
        pub is_v6: u32,
    }
}

/// The address is reachable through some interface.
pub const ANY_INTERFACE: u32 = 0;

/// The indices of the map `nt_tail_calls`: the program that a filter calls with an accepted packet.
pub mod tail_call {
    pub const CAPTURE_IN: u32 = 0;
    pub const CAPTURE_OUT: u32 = 1;
    /// The number of indices.
    pub const PROGRAMS: u32 = 2;
    /// The only index of the map `nt_tail_xdp`.
    pub const CAPTURE_XDP: u32 = 0;
}

/// The most CPUs that have a ring.
pub const MAX_CPUS: u32 = 1024;
