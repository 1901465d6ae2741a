//! What the loader is told, and what it gives.

use std::os::fd::OwnedFd;

use aya::{Ebpf, maps::Map};
use net_traffic_common::packet::CaptureSettings;

use crate::{bpf::IterLink, plan::Filled};
use net_traffic_snapshot::Tier;

/// Sizes that a test may shrink.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    pub processes: u32,
    pub sockets_by_address: u32,
    pub ring_bytes: u32,
    /// The same of a walk over the sockets, which pauses when there is no more room.
    pub walk_bytes: u32,
    /// How many descendants of this process can be traced at a time; with 0 none are.
    pub descendants: u32,
    /// Rows of what crossed: up to eight for each interface.
    pub wire: u32,
    /// Whether what arrives at the interfaces is counted apart, by XDP.
    pub arrivals: bool,
    /// Packets are captured, in this way.
    pub capture: Option<CaptureSettings>,
    /// One event in so many is lost on purpose; 0 for none.
    pub lose_one_in: u32,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            processes: 16_384,
            sockets_by_address: 131_072,
            ring_bytes: 2 << 20,
            walk_bytes: 512 << 10,
            descendants: 0,
            wire: 8192,
            arrivals: false,
            capture: None,
            lose_one_in: 0,
        }
    }
}

/// Programs that run, and how they came to.
pub struct Loaded {
    pub bpf: Ebpf,
    pub tier: Tier,
    pub slots: Vec<Filled>,
    pub harvest: IterLink,
    pub baseline: IterLink,
    pub wire: Option<WirePrograms>,
}

/// The programs that count what crosses the interfaces. They are loaded and proved on loopback; the collector
/// attaches them to each interface.
pub struct WirePrograms {
    /// One for each of [`WIRE_SLOTS`](crate::plan::WIRE_SLOTS): how it attaches here, and what was refused.
    pub slots: Vec<Filled>,
    /// The program of each slot that holds.
    pub programs: Vec<Option<OwnedFd>>,
    pub counters: Map,
    /// The Ethernet addresses of the interfaces, which the collector fills in.
    pub addresses: Map,
    pub arrivals: Option<ArrivalPrograms>,
}

/// The program that counts what arrives at an interface.
pub struct ArrivalPrograms {
    pub slot: Filled,
    /// If the slot holds.
    pub program: Option<OwnedFd>,
    pub counters: Map,
}
