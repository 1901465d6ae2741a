//! Bytes that cross an interface: the rows of the maps `nt_iface_bytes` and `nt_xdp_rx_bytes`.

use crate::plain;

/// The direction in which a packet crosses an interface, as the interface's own counters have it.
pub const DIRECTION_RX: u16 = 0;
pub const DIRECTION_TX: u16 = 1;

/// The packet is of a socket of a process.
pub const CLASS_PROCESS: u16 = 0;
/// The kernel itself sends or receives the packet.
pub const CLASS_KERNEL: u16 = 1;
/// The packet is bridged, routed or translated to another host.
pub const CLASS_FORWARDED: u16 = 2;
pub const CLASS_UNKNOWN: u16 = 3;
/// The number of classes.
pub const CLASSES: u16 = 4;

plain! {
    /// One row per interface, direction and class.
    pub struct IfaceKey: 8 {
        pub ifindex: u32,
        pub direction: u16,
        pub class: u16,
    }
}

plain! {
    /// The packets of a row. One packet of a hook may be several on the wire: GSO splits segments behind the egress
    /// hook, and GRO joins them before the ingress hook.
    pub struct IfaceBytes: 56 {
        /// As the hook gets the packets, with the link header.
        pub packets: u64,
        pub bytes: u64,
        /// The same with headers for each segment.
        pub segments: u64,
        pub segment_bytes: u64,
        /// The part of `bytes` that is transport payload which passes for the first time.
        pub payload: u64,
        /// The part of `packets` and `segments` with a VLAN tag. The kernel keeps the tag outside the packet, so that
        /// `bytes` and `segment_bytes` lack it.
        pub tagged: u64,
        pub tagged_segments: u64,
    }
}

plain! {
    /// The frames that an interface received, as XDP gets them.
    pub struct XdpRxCounters: 16 {
        pub packets: u64,
        pub bytes: u64,
    }
}
