//! The histories of rows that come and go by the thousand: only of those that moved something lately, and of no more
//! than so many. A row that moved nothing has nothing to draw.

use std::collections::HashMap;
use std::hash::Hash;

use super::history::{History, LENGTH};
use super::rate::Rates;

/// Histories by row.
#[derive(Clone, Debug)]
pub(crate) struct Traces<K> {
    known: HashMap<K, Trace>,
    snapshots: u64,
}

#[derive(Clone, Debug)]
struct Trace {
    history: History,
    /// The number of the snapshot in which it last moved something.
    last: u64,
}

const IDLE: Rates = Rates { rx_bps: Some(0), tx_bps: Some(0) };

impl<K: Eq + Hash> Traces<K> {
    /// Adds a snapshot: the rates of all rows, those that are idle or unknown included or not. Keeps at most so many.
    pub(crate) fn advance(&mut self, rates: impl Iterator<Item = (K, Rates)>, keep: usize) {
        self.snapshots += 1;
        let now = self.snapshots;
        self.known.retain(|_, trace| now - trace.last <= LENGTH as u64);
        for (key, rates) in rates.filter(|(_, rates)| rates.total().is_some_and(|total| total > 0)) {
            if self.known.len() >= keep && !self.known.contains_key(&key) && !self.make_room(keep) {
                continue;
            }
            let new = || Trace { history: History::default(), last: now - 1 };
            let trace = self.known.entry(key).or_insert_with(new);
            trace.idle_until(now - 1);
            trace.history.push(rates);
            trace.last = now;
        }
    }

    /// The rates of a row until now, oldest first; `None` where it moved nothing for as long as is remembered.
    pub(crate) fn get(&self, key: &K) -> Option<History> {
        let mut trace = self.known.get(key)?.clone();
        trace.idle_until(self.snapshots);
        Some(trace.history)
    }

    /// Forgets who is idle; says whether that made room.
    fn make_room(&mut self, keep: usize) -> bool {
        let now = self.snapshots;
        self.known.retain(|_, trace| trace.last + 1 >= now);
        self.known.len() < keep
    }
}

impl Trace {
    /// An idle row costs nothing until it is asked for, or moves something again.
    fn idle_until(&mut self, snapshot: u64) {
        for _ in self.last..snapshot {
            self.history.push(IDLE);
        }
        self.last = self.last.max(snapshot);
    }
}

impl<K> Default for Traces<K> {
    fn default() -> Self {
        Self { known: HashMap::new(), snapshots: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 500;

    fn rate(bps: u64) -> Rates {
        Rates { rx_bps: Some(bps), tx_bps: Some(0) }
    }

    fn received(traces: &Traces<u64>, key: u64) -> Option<Vec<Option<u64>>> {
        traces.get(&key).map(|history| history.iter().map(|rates| rates.rx_bps).collect())
    }

    #[test]
    fn remembers_from_the_first_byte_on_and_fills_the_pauses() {
        let mut traces = Traces::default();
        for bps in [0, 8, 0, 0, 16, 0] {
            traces.advance([(1u64, rate(bps)), (2, rate(0)), (3, Rates::default())].into_iter(), MOST);
        }
        assert_eq!(received(&traces, 1), Some(vec![Some(8), Some(0), Some(0), Some(16), Some(0)]));
        assert_eq!(received(&traces, 2), None);
        assert_eq!(received(&traces, 3), None);
    }

    #[test]
    fn forgets_who_was_idle_for_as_long_as_is_remembered() {
        let mut traces = Traces::default();
        traces.advance([(1u64, rate(8))].into_iter(), MOST);
        for _ in 0..LENGTH {
            traces.advance(std::iter::empty(), MOST);
        }
        assert_eq!(received(&traces, 1).map(|points| points.len()), Some(LENGTH));
        traces.advance(std::iter::empty(), MOST);
        assert_eq!(received(&traces, 1), None);
    }

    #[test]
    fn more_rows_than_there_is_room_for_cost_those_that_are_idle() {
        let mut traces = Traces::default();
        let all = |range: std::ops::Range<u64>| range.map(|key| (key, rate(8)));
        traces.advance(all(0..MOST as u64), MOST);
        traces.advance(all(0..100), MOST);
        // Those of the snapshot before stay, the others make room.
        traces.advance(all(0..101), MOST);
        assert_eq!(traces.known.len(), MOST);
        traces.advance(all(10_000..10_100), MOST);
        assert!(received(&traces, 10_099).is_some() && received(&traces, 50).is_some());
        assert_eq!(received(&traces, 200), None);
        traces.advance(all(20_000..40_000), MOST);
        assert!(traces.known.len() <= MOST);
    }
}
