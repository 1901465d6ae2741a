//! Counts the packets that reached no consumer, by interface: lost in the kernel or the queue, or left over at the end.

use std::collections::HashMap;

use super::kernel::Kernel;
use super::reader::Reader;
use super::record::Head;
use pcap_io::{Interface, Missed};

#[derive(Debug, Default)]
pub(super) struct Losses {
    /// By interface, as of the last update.
    lost: HashMap<u32, u64>,
    lost_in_all: u64,
    /// Losses by interface that no packet has reported yet.
    unreported: HashMap<u32, u64>,
    left_over: HashMap<u32, u64>,
}

impl Losses {
    /// Reads the losses of each interface if the total has changed.
    pub(super) fn update(&mut self, kernel: &Kernel, reader: &Reader) {
        let fates = kernel.counters.fates();
        let in_all = fates.ring_full + fates.copy_failed + reader.queue_full();
        if in_all == self.lost_in_all {
            return;
        }
        self.lost_in_all = in_all;
        let mut now = kernel.counters.lost();
        for (ifindex, lost) in reader.lost() {
            *now.entry(ifindex).or_default() += lost;
        }
        for (ifindex, lost) in &now {
            let before = self.lost.get(ifindex).copied().unwrap_or(0);
            *self.unreported.entry(*ifindex).or_default() += lost.saturating_sub(before);
        }
        self.lost = now;
    }

    /// The losses of an interface since the last call for the interface.
    pub(super) fn since_last(&mut self, ifindex: u32) -> u64 {
        if self.unreported.is_empty() { 0 } else { self.unreported.remove(&ifindex).unwrap_or(0) }
    }

    /// Counts packets that no consumer accepts any more.
    pub(super) fn count_left_over(&mut self, heads: &[Head]) {
        for head in heads {
            *self.left_over.entry(head.ifindex).or_default() += 1;
        }
    }

    pub(super) fn left_over(&self) -> u64 {
        self.left_over.values().sum()
    }

    /// Sets the counts of the interfaces. A reused index belongs to the later interface.
    pub(super) fn write_to(&self, interfaces: &mut [Interface]) {
        let of = |numbers: &HashMap<u32, u64>, index| numbers.get(&index).copied().unwrap_or(0);
        let mut written = Vec::new();
        for interface in interfaces.iter_mut().rev() {
            let index = interface.index;
            interface.missed = if written.contains(&index) {
                Missed::default()
            } else {
                Missed { lost: of(&self.lost, index), left_over: of(&self.left_over, index) }
            };
            written.push(index);
        }
    }
}
