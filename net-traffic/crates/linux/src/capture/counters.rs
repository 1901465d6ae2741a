//! What the programs counted: packets by their fate, and by interface those that were lost.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use aya::maps::{Map, MapData, MapError, PerCpuArray, PerCpuHashMap};
use net_traffic_common::packet::{LostPackets, captured};

/// How often to look whether anything still counts.
const LOOKS: usize = 50;

pub(super) struct Counters {
    fates: PerCpuArray<MapData, u64>,
    lost: PerCpuHashMap<MapData, u32, LostPackets>,
}

/// Packets since the beginning.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fates {
    pub(super) received: u64,
    pub(super) ring_full: u64,
    pub(super) copy_failed: u64,
}

impl Counters {
    pub(super) fn new(fates: Map, lost: Map) -> Result<Self, MapError> {
        Ok(Self { fates: PerCpuArray::try_from(fates)?, lost: PerCpuHashMap::try_from(lost)? })
    }

    pub(super) fn fates(&self) -> Fates {
        let sum = |index| self.fates.get(&index, 0).map_or(0, |values| values.iter().sum());
        // What was lost is read first: it was received before.
        let (ring_full, copy_failed) = (sum(captured::RING_FULL), sum(captured::COPY_FAILED));
        Fates { received: sum(captured::RECEIVED), ring_full, copy_failed }
    }

    /// Losses of each interface that has any.
    pub(super) fn lost(&self) -> HashMap<u32, u64> {
        let sum = |packets: &LostPackets| packets.ring_full + packets.copy_failed;
        self.lost
            .iter()
            .filter_map(Result::ok)
            .map(|(ifindex, values)| (ifindex, values.iter().map(sum).sum()))
            .collect()
    }

    /// Waits until no program runs any more that was detached: from then on nothing is counted or written.
    pub(super) fn settle(&self) {
        if wait_for_all_programs().is_ok() {
            return;
        }
        // The kernel does not offer it; programs run for microseconds.
        let mut before = self.fates();
        for _ in 0..LOOKS {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.fates();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// Programs run in read-side critical sections of RCU; this command of `membarrier(2)` waits for the end of each that
/// is under way.
fn wait_for_all_programs() -> io::Result<()> {
    const MEMBARRIER_CMD_GLOBAL: libc::c_int = 1;
    // SAFETY: a command without memory.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
