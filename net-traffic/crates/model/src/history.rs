//! The last rates of a row, oldest first: what a sparkline draws. Bounded, and small, because there are many rows.

use std::collections::VecDeque;

use super::rate::Rates;

/// How many snapshots a history remembers.
pub(crate) const LENGTH: usize = 120;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History(VecDeque<[Short; 2]>);

impl History {
    pub(crate) fn push(&mut self, rates: Rates) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back([Short::of(rates.rx_bps), Short::of(rates.tx_bps)]);
    }

    /// The remembered rates, oldest first, exact to three digits and more.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Rates> + '_ {
        self.0.iter().map(|[rx, tx]| Rates { rx_bps: rx.value(), tx_bps: tx.value() })
    }
}

/// A rate in two bytes: eleven bits of it, and how far they are shifted. Half a promille is less than a screen shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Short(u16);

impl Short {
    const UNKNOWN: Self = Self(u16::MAX);
    const DIGITS: u32 = 11;
    /// What the largest is worth: 2199 Gbit/s. One less than what stands for the unknown.
    const MOST: u64 = ((1 << Self::DIGITS) - 2) << 31;

    fn of(rate: Option<u64>) -> Self {
        let Some(rate) = rate else { return Self::UNKNOWN };
        let shift = |rate: u64| (u64::BITS - rate.leading_zeros()).saturating_sub(Self::DIGITS);
        let rate = rate.min(Self::MOST);
        let rounded = (rate + ((1 << shift(rate)) >> 1)).min(Self::MOST);
        let shift = shift(rounded);
        u16::try_from(u64::from(shift) << Self::DIGITS | rounded >> shift).map_or(Self::UNKNOWN, Self)
    }

    fn value(self) -> Option<u64> {
        let digits = u64::from(self.0) & ((1 << Self::DIGITS) - 1);
        (self != Self::UNKNOWN).then(|| digits << (self.0 >> Self::DIGITS))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn forgets_the_oldest() {
        let mut history = History::default();
        for bps in 0..=LENGTH as u64 {
            history.push(Rates { rx_bps: Some(bps), tx_bps: None });
        }
        assert_eq!(history.iter().len(), LENGTH);
        assert_eq!(history.iter().next(), Some(Rates { rx_bps: Some(1), tx_bps: None }));
    }

    #[test]
    fn what_is_too_fast_is_as_fast_as_can_be_written() {
        assert_eq!(Short::of(Some(u64::MAX)).value(), Some(Short::MOST));
        assert_eq!(Short::of(None).value(), None);
        assert_eq!(Short::of(Some(2047)).value(), Some(2047));
    }

    proptest! {
        #[test]
        fn a_rate_is_as_exact_as_a_screen(rate in 0..Short::MOST) {
            let kept = Short::of(Some(rate)).value().unwrap();
            prop_assert!(kept.abs_diff(rate) <= rate / 2000, "{rate} became {kept}");
        }
    }
}
