//! How many entries each map gets: one table, and the options that it depends on.
//!
//! The kernel creates no hash without entries
//! (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/hashtab.c#L464>), so that a map that a load does not
//! use has one.

use net_traffic_common::packet::CaptureSettings;

use super::Storage;

/// The processes, flows or calls that a map has room for: as many as most hosts have.
const MANY: u32 = 16_384;
const CAPTURE_RING_BYTES: u32 = 65_536;

/// What one load counts, and the sizes of maps that a test may shrink.
#[derive(Clone, Copy, Debug)]
pub struct LoadOptions {
    pub processes: u32,
    pub sockets_by_address: u32,
    /// Size of the ring buffer of closed sockets, in bytes.
    pub ring_bytes: u32,
    /// Size of the ring buffer of a walk over the open sockets, in bytes. A walk pauses while the ring is full.
    pub walk_bytes: u32,
    /// How many descendants of this process can be traced at a time; 0 traces none.
    pub descendants: u32,
    /// Rows of the interface accounting: up to eight for each interface.
    pub interface_rows: u32,
    /// Count received frames by XDP.
    pub xdp_rx: bool,
    /// Capture packets with these settings.
    pub capture: Option<CaptureSettings>,
    /// Skip one event in so many, to test that the self-test finds it; 0 skips none.
    pub lose_one_in: u32,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            processes: MANY,
            sockets_by_address: 131_072,
            ring_bytes: 2 << 20,
            walk_bytes: 512 << 10,
            descendants: 0,
            interface_rows: 8192,
            xdp_rx: false,
            capture: None,
            lose_one_in: 0,
        }
    }
}

/// The parts of the object that one load uses.
#[derive(Clone, Copy, Debug)]
pub struct MapUse {
    pub options: LoadOptions,
    /// `None`: no program counts.
    pub storage: Option<Storage>,
    /// Interface accounting is on.
    pub interfaces: bool,
    /// Programs look for the owners of sockets.
    pub owners: bool,
}

impl MapUse {
    /// Capture without accounting; `owners`: with the programs that look for the owners of sockets.
    #[must_use]
    pub fn capture(settings: CaptureSettings, owners: bool) -> Self {
        let options = LoadOptions {
            ring_bytes: CAPTURE_RING_BYTES,
            walk_bytes: CAPTURE_RING_BYTES,
            capture: Some(settings),
            ..LoadOptions::default()
        };
        Self { options, storage: None, interfaces: false, owners }
    }

    /// Packets are looked up by their flow.
    fn flows(&self) -> bool {
        self.owners && self.options.capture.is_some()
    }

    fn by_address(&self) -> bool {
        self.storage == Some(Storage::ByAddress)
    }
}

/// One map of the object and its size.
pub struct MapPlan {
    pub name: &'static str,
    /// Entries, or bytes for a ring buffer.
    pub entries: fn(&MapUse) -> u32,
}

/// The maps whose size depends on what is loaded. The object declares the size of the others.
pub const MAPS: &[MapPlan] = &[
    map("nt_processes", |load| one_unless(load.owners, load.options.processes)),
    map("nt_descendants", |load| load.options.descendants.max(1)),
    map("nt_closed_socks", |load| load.options.ring_bytes),
    map("nt_open_socks", |load| load.options.walk_bytes),
    map("nt_socks_addr", |load| one_unless(load.by_address(), load.options.sockets_by_address)),
    map("nt_calls", |load| one_unless(load.by_address(), MANY)),
    map("nt_iface_bytes", |load| one_unless(load.interfaces, load.options.interface_rows)),
    map("nt_forwarded", |load| one_unless(load.interfaces, MANY)),
    map("nt_fragments", |load| one_unless(load.interfaces, 4096)),
    map("nt_xdp_rx_bytes", |load| one_unless(load.options.xdp_rx, 1024)),
    map("nt_flow_owners", |load| one_unless(load.flows(), MANY)),
    map("nt_addr_netns", |load| one_unless(load.flows(), 8192)),
    map("nt_nat_flows", |load| one_unless(load.flows(), MANY)),
    map("nt_lost_packets", |load| one_unless(load.options.capture.is_some(), 1024)),
];

const fn map(name: &'static str, entries: fn(&MapUse) -> u32) -> MapPlan {
    MapPlan { name, entries }
}

fn one_unless(used: bool, entries: u32) -> u32 {
    if used { entries } else { 1 }
}
