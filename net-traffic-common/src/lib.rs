//! What crosses the boundary between the kernel's and the user's side: keys, values and records, and nothing else.
//!
//! Every struct here is `repr(C)` with fixed-width fields, explicit padding and a pinned size, so that both
//! sides, built by different compilers, agree on each byte.
#![no_std]

mod flow;
pub mod loss;
mod offsets;
pub mod packet;
mod process;
pub mod retry;
mod socket;
mod wire;

pub use flow::Flow;
pub use offsets::{ABSENT, Ancestor, Hierarchy, Member, Offsets, Unit};
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
    // SAFETY: as above.
    unsafe impl aya::Pod for crate::Flow {}
}
