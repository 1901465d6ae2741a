//! What crossed an interface: the rows of the map `WIRE`.

use crate::plain;

/// Which way a packet crosses an interface, as the interface's own counters have it.
pub const DIRECTION_RX: u16 = 0;
pub const DIRECTION_TX: u16 = 1;

/// Whose a packet is.
pub const CLASS_PROCESS: u16 = 0;
pub const CLASS_KERNEL: u16 = 1;
pub const CLASS_FORWARDED: u16 = 2;
pub const CLASS_UNKNOWN: u16 = 3;
/// How many classes there are.
pub const CLASSES: u16 = 4;

plain! {
    /// One row for each interface, direction and class.
    pub struct IfaceKey: 8 {
        pub ifindex: u32,
        pub direction: u16,
        pub class: u16,
    }
}

plain! {
    /// What passed. A packet of the hook may be many on the wire: the stack and the card join and split segments
    /// (GSO, GRO) on the other side of the hook.
    pub struct IfaceBytes: 56 {
        /// As the hook saw them, with the link header.
        pub packets: u64,
        pub bytes: u64,
        /// As they are when each segment has its own headers.
        pub segments: u64,
        pub segment_bytes: u64,
        /// The part of `bytes` that is payload of a transport protocol which had not passed before.
        pub payload: u64,
        /// How many of `packets` and `segments` have a VLAN tag, which the kernel keeps beside the packet: it is in none of
        /// the bytes above.
        pub tagged: u64,
        pub tagged_segments: u64,
    }
}

plain! {
    /// What an interface received, as the driver or the beginning of the stack saw it.
    pub struct XdpRxCounters: 16 {
        pub packets: u64,
        pub bytes: u64,
    }
}
