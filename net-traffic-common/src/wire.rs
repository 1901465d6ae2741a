//! What crossed an interface: the rows of the map `WIRE`.

/// Which way a packet crosses an interface, as the interface's own counters have it.
pub const WIRE_RX: u16 = 0;
pub const WIRE_TX: u16 = 1;

/// Whose a packet is.
pub const CLASS_PROCESS: u16 = 0;
pub const CLASS_KERNEL: u16 = 1;
pub const CLASS_FORWARDED: u16 = 2;
pub const CLASS_UNKNOWN: u16 = 3;
/// How many classes there are.
pub const CLASSES: u16 = 4;

/// One row for each interface, direction and class.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct WireKey {
    pub ifindex: u32,
    pub direction: u16,
    pub class: u16,
}

/// What passed. A packet of the hook may be many on the wire: the stack and the card join and split segments
/// (GSO, GRO) on the other side of the hook.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WireCounters {
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

/// What an interface received, as the driver or the beginning of the stack saw it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ArrivalCounters {
    pub packets: u64,
    pub bytes: u64,
}

const _: () = assert!(size_of::<ArrivalCounters>() == 16);
const _: () = assert!(size_of::<WireKey>() == 8);
const _: () = assert!(size_of::<WireCounters>() == 56);
