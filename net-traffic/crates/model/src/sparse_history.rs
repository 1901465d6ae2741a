//! Rate histories for thousands of short-lived items. Only items with recent traffic have one, and their number is
//! bounded.

use std::collections::HashMap;
use std::hash::Hash;

use super::history::{LENGTH, RateHistory};
use super::rate::Rates;

/// Rate histories by key.
#[derive(Clone, Debug)]
pub(crate) struct SparseHistory<K> {
    entries: HashMap<K, SparseEntry>,
    snapshots: u64,
}

#[derive(Clone, Debug)]
struct SparseEntry {
    history: RateHistory,
    /// The number of the last snapshot with traffic.
    last: u64,
}

const IDLE: Rates = Rates { rx_bps: Some(0), tx_bps: Some(0) };

impl<K: Eq + Hash> SparseHistory<K> {
    /// Adds the rates of a snapshot; idle items may be left out. Keeps at most `limit` histories.
    pub(crate) fn advance(&mut self, rates: impl Iterator<Item = (K, Rates)>, limit: usize) {
        self.snapshots += 1;
        let now = self.snapshots;
        self.entries.retain(|_, entry| now - entry.last <= LENGTH as u64);
        for (key, rates) in rates.filter(|(_, rates)| rates.total().is_some_and(|total| total > 0)) {
            if self.entries.len() >= limit && !self.entries.contains_key(&key) && !self.evict_idle(limit) {
                continue;
            }
            let new = || SparseEntry { history: RateHistory::default(), last: now - 1 };
            let entry = self.entries.entry(key).or_insert_with(new);
            entry.fill_idle(now - 1);
            entry.history.push(rates);
            entry.last = now;
        }
    }

    /// The rates of an item up to the last snapshot; `None` if it was idle for the length of a history.
    pub(crate) fn get(&self, key: &K) -> Option<RateHistory> {
        let mut entry = self.entries.get(key)?.clone();
        entry.fill_idle(self.snapshots);
        Some(entry.history)
    }

    /// Drops items that were idle in the previous snapshot. Returns whether there is room now.
    fn evict_idle(&mut self, limit: usize) -> bool {
        let now = self.snapshots;
        self.entries.retain(|_, entry| entry.last + 1 >= now);
        self.entries.len() < limit
    }
}

impl SparseEntry {
    /// Appends zeros for the idle snapshots. Runs when the item is read or has traffic again, not at each snapshot.
    fn fill_idle(&mut self, snapshot: u64) {
        for _ in self.last..snapshot {
            self.history.push(IDLE);
        }
        self.last = self.last.max(snapshot);
    }
}

impl<K> Default for SparseHistory<K> {
    fn default() -> Self {
        Self { entries: HashMap::new(), snapshots: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 500;

    fn rate(bps: u64) -> Rates {
        Rates { rx_bps: Some(bps), tx_bps: Some(0) }
    }

    fn received(histories: &SparseHistory<u64>, key: u64) -> Option<Vec<Option<u64>>> {
        histories.get(&key).map(|history| history.iter().map(|rates| rates.rx_bps).collect())
    }

    #[test]
    fn history_starts_at_first_traffic_and_fills_gaps() {
        let mut histories = SparseHistory::default();
        for bps in [0, 8, 0, 0, 16, 0] {
            histories.advance([(1u64, rate(bps)), (2, rate(0)), (3, Rates::default())].into_iter(), MOST);
        }
        assert_eq!(received(&histories, 1), Some(vec![Some(8), Some(0), Some(0), Some(16), Some(0)]));
        assert_eq!(received(&histories, 2), None);
        assert_eq!(received(&histories, 3), None);
    }

    #[test]
    fn item_idle_for_a_whole_history_is_dropped() {
        let mut histories = SparseHistory::default();
        histories.advance([(1u64, rate(8))].into_iter(), MOST);
        for _ in 0..LENGTH {
            histories.advance(std::iter::empty(), MOST);
        }
        assert_eq!(received(&histories, 1).map(|points| points.len()), Some(LENGTH));
        histories.advance(std::iter::empty(), MOST);
        assert_eq!(received(&histories, 1), None);
    }

    #[test]
    fn full_history_evicts_idle_items_first() {
        let mut histories = SparseHistory::default();
        let all = |range: std::ops::Range<u64>| range.map(|key| (key, rate(8)));
        histories.advance(all(0..MOST as u64), MOST);
        histories.advance(all(0..100), MOST);
        // Items with traffic in the previous snapshot stay; the idle ones are evicted.
        histories.advance(all(0..101), MOST);
        assert_eq!(histories.entries.len(), MOST);
        histories.advance(all(10_000..10_100), MOST);
        assert!(received(&histories, 10_099).is_some() && received(&histories, 50).is_some());
        assert_eq!(received(&histories, 200), None);
        histories.advance(all(20_000..40_000), MOST);
        assert!(histories.entries.len() <= MOST);
    }
}
