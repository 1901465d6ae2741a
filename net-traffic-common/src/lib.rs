//! What crosses the boundary between the kernel's and the user's side: keys, values and records, and nothing else.
//!
//! Every struct here is `repr(C)` with fixed-width fields, explicit padding and a pinned size, so that both
//! sides, built by different compilers, agree on each byte.
#![no_std]

mod offsets;
pub mod packet;
mod process;
mod socket;
mod wire;

pub use offsets::{Ancestor, Hierarchy, Offsets};
pub use process::{
    CGROUP_PATH, CgroupPath, OTHER, PROCESS_EXITED, PROCESS_HAS_UID, PROCESS_TRACED, ProcessCounters,
    ProcessKey, UNOWNED,
};
pub use socket::{
    CLOSED, FAMILY_INET, FAMILY_INET6, FAMILY_PACKET, KERNEL_COUNTS, PROTOCOL_MPTCP, PROTOCOL_TCP,
    SocketCounters, SocketRecord, TX_FINAL, extend,
};
pub use wire::{
    ArrivalCounters, CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, CLASSES, WIRE_RX, WIRE_TX,
    WireCounters, WireKey,
};

/// The causes of loss that the kernel side counts: the indices of the map `LOSS`.
pub mod loss {
    /// A map was full: the bytes of a process went to [`crate::OTHER`], those of a packet to nobody.
    pub const MAP_FULL: u32 = 0;
    /// A map or a value in it was busy: the same.
    pub const MAP_BUSY: u32 = 1;
    /// The kernel refused a socket's storage.
    pub const STORAGE_FAILED: u32 = 2;
    /// The ring had no room for the record of a closed socket.
    pub const RING_FULL: u32 = 3;
    /// How many causes there are.
    pub const CAUSES: u32 = 4;
}

#[cfg(all(feature = "user", target_os = "linux"))]
mod user {
    use crate::{
        Ancestor, ArrivalCounters, CgroupPath, Hierarchy, Offsets, ProcessCounters, ProcessKey,
        SocketCounters, SocketRecord, WireCounters, WireKey,
    };

    // SAFETY: each is `repr(C)` or transparent, made of integers only, without padding between its fields.
    unsafe impl aya::Pod for Offsets {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Hierarchy {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Ancestor {}
    // SAFETY: as above.
    unsafe impl aya::Pod for CgroupPath {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ProcessKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ProcessCounters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SocketCounters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for SocketRecord {}
    // SAFETY: as above.
    unsafe impl aya::Pod for WireKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for WireCounters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for ArrivalCounters {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::packet::CaptureSettings {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::packet::LostPackets {}
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::packet::Inside {}
}
