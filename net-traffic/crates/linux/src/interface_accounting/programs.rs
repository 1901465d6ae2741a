//! The loaded programs of the interface accounting.

use std::os::fd::OwnedFd;

use aya::maps::Map;

use crate::plan::Filled;

/// The programs that count the packets of interfaces. The loader has loaded them and probed their attach points on the
/// loopback interface.
pub struct InterfacePrograms {
    /// One for each of [`INTERFACE_SLOTS`](crate::plan::INTERFACE_SLOTS).
    pub slots: Vec<Filled>,
    /// The program of each slot; `None` for an empty slot.
    pub programs: Vec<Option<OwnedFd>>,
    pub counters: Map,
    /// The Ethernet addresses of the namespace's interfaces. The collector fills the map.
    pub addresses: Map,
    pub xdp_rx: Option<XdpRxProgram>,
}

/// The XDP program that counts received frames.
pub struct XdpRxProgram {
    pub slot: Filled,
    /// `None`: the slot is empty.
    pub program: Option<OwnedFd>,
    pub counters: Map,
}
