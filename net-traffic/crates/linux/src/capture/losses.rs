//! What did not get into anybody's hands, by interface: lost on the way, or left over at the end.

use std::collections::HashMap;

use super::kernel::Kernel;
use super::reader::Reader;
use super::record::Head;
use pcap_io::{Interface, Missed};

#[derive(Debug, Default)]
pub(super) struct Losses {
    /// By interface, as of the last look.
    lost: HashMap<u32, u64>,
    lost_in_all: u64,
    /// What no packet has been told of yet.
    untold: HashMap<u32, u64>,
    left_over: HashMap<u32, u64>,
}

impl Losses {
    /// Looks at what was lost by now, if anything was since the last time.
    pub(super) fn look(&mut self, kernel: &Kernel, reader: &Reader) {
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
            *self.untold.entry(*ifindex).or_default() += lost.saturating_sub(before);
        }
        self.lost = now;
    }

    /// What an interface lost since it was asked for last.
    pub(super) fn since_last(&mut self, ifindex: u32) -> u64 {
        if self.untold.is_empty() { 0 } else { self.untold.remove(&ifindex).unwrap_or(0) }
    }

    /// Packets that nobody wants any more.
    pub(super) fn leave(&mut self, heads: &[Head]) {
        for head in heads {
            *self.left_over.entry(head.ifindex).or_default() += 1;
        }
    }

    pub(super) fn left_over(&self) -> u64 {
        self.left_over.values().sum()
    }

    /// Writes it where it is to be read. An index that came again stands for the later interface.
    pub(super) fn tell(&self, interfaces: &mut [Interface]) {
        let of = |numbers: &HashMap<u32, u64>, index| numbers.get(&index).copied().unwrap_or(0);
        let mut told = Vec::new();
        for interface in interfaces.iter_mut().rev() {
            let index = interface.index;
            interface.missed = if told.contains(&index) {
                Missed::default()
            } else {
                Missed { lost: of(&self.lost, index), left_over: of(&self.left_over, index) }
            };
            told.push(index);
        }
    }
}
