//! Reads the counters of the programs: packets by outcome, and lost packets by interface.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use aya::maps::{Map, MapData, MapError, PerCpuArray, PerCpuHashMap};
use linux_raw_sys::general::membarrier_cmd;
use net_traffic_common::packet::{LostPackets, captured};

/// The most reads of the counters while they still change.
const READS: usize = 50;

pub(super) struct Counters {
    fates: PerCpuArray<MapData, u64>,
    lost: PerCpuHashMap<MapData, u32, LostPackets>,
}

/// Packets since the start of the capture.
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
        // Losses first: a program counts a packet as received before the loss, so that losses never exceed it.
        let (ring_full, copy_failed) = (sum(captured::RING_FULL), sum(captured::COPY_FAILED));
        Fates { received: sum(captured::RECEIVED), ring_full, copy_failed }
    }

    /// Lost packets by interface.
    pub(super) fn lost(&self) -> HashMap<u32, u64> {
        let sum = |packets: &LostPackets| packets.ring_full + packets.copy_failed;
        self.lost
            .iter()
            .filter_map(Result::ok)
            .map(|(ifindex, values)| (ifindex, values.iter().map(sum).sum()))
            .collect()
    }

    /// Waits for the end of detached programs that still run. Afterwards the counters and rings are final.
    pub(super) fn wait_for_programs(&self) {
        if wait_for_rcu().is_ok() {
            return;
        }
        // Without membarrier: programs run for microseconds, so that constant counters are final.
        let mut before = self.fates();
        for _ in 0..READS {
            std::thread::sleep(Duration::from_millis(10));
            let now = self.fates();
            if now == before {
                return;
            }
            before = now;
        }
    }
}

/// Waits for an RCU grace period: eBPF programs run in RCU read-side critical sections, and `MEMBARRIER_CMD_GLOBAL`
/// calls `synchronize_rcu`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/sched/membarrier.c#L649>).
fn wait_for_rcu() -> io::Result<()> {
    // SAFETY: the command takes no pointer.
    let result = unsafe {
        libc::syscall(libc::SYS_membarrier, membarrier_cmd::MEMBARRIER_CMD_GLOBAL as libc::c_int, 0, 0)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
