//! The last rates of an interface or process, oldest first: what a sparkline draws. Bounded.

use std::collections::VecDeque;

use super::rate::Rates;

/// How many snapshots a history remembers.
const LENGTH: usize = 120;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(VecDeque<Rates>);

impl History {
    pub(crate) fn push(&mut self, rates: Rates) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(rates);
    }

    /// The remembered rates, oldest first.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Rates> + '_ {
        self.0.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgets_the_oldest() {
        let mut history = History::default();
        for bps in 0..=LENGTH as u64 {
            history.push(Rates { rx_bps: Some(bps), tx_bps: None });
        }
        assert_eq!(history.iter().len(), LENGTH);
        assert_eq!(history.iter().next().and_then(|rates| rates.rx_bps), Some(1));
    }
}
