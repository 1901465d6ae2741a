//! The keys, values and records that the programs in the kernel share with user space.
//!
//! Every struct here is `repr(C)` with fixed-width fields, explicit padding and a pinned size ([`plain!`]), so that
//! both sides, built by different compilers, agree on each byte.
#![no_std]

mod flow;
mod interface;
pub mod loss;
mod offsets;
pub mod packet;
mod plain;
mod process;
pub mod retry;
mod socket;

pub use flow::Flow;
pub use interface::{
    CLASS_FORWARDED, CLASS_KERNEL, CLASS_PROCESS, CLASS_UNKNOWN, CLASSES, DIRECTION_RX, DIRECTION_TX,
    IfaceBytes, IfaceKey, XdpRxCounters,
};
pub use offsets::{ABSENT, Ancestor, HIERARCHY_V2, Hierarchy, Member, Offsets, Unit};
pub use plain::Plain;
pub use process::{
    CGROUP_PATH, CgroupPath, OTHER, PROCESS_EXITED, PROCESS_HAS_UID, PROCESS_TRACED, ProcessCounters,
    ProcessKey, UNOWNED,
};
pub use socket::{
    CLOSED, FAMILY_INET, FAMILY_INET6, FAMILY_PACKET, KERNEL_COUNTS, PROTOCOL_MPTCP, PROTOCOL_TCP,
    SocketCounters, SocketRecord, TX_FINAL, extend,
};
