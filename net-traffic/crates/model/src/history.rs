//! The recent rates of one item, as a sparkline draws them: bounded, and 4 bytes a snapshot.

use std::collections::VecDeque;

use super::rate::Rates;

/// Snapshots in a history.
pub(crate) const LENGTH: usize = 120;

/// Rates by snapshot, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RateHistory(VecDeque<[CompactRate; 2]>);

impl RateHistory {
    pub(crate) fn push(&mut self, rates: Rates) {
        if self.0.len() == LENGTH {
            self.0.pop_front();
        }
        self.0.push_back([CompactRate::of(rates.rx_bps), CompactRate::of(rates.tx_bps)]);
    }

    /// The rates, oldest first, each within 0.05 % of the measured one.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Rates> + '_ {
        self.0.iter().map(|[rx, tx]| Rates { rx_bps: rx.value(), tx_bps: tx.value() })
    }
}

/// A rate in two bytes: a mantissa of 11 bits and a shift of 5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct CompactRate(u16);

impl CompactRate {
    const UNKNOWN: Self = Self(u16::MAX);
    const DIGITS: u32 = 11;
    /// The largest rate, 2199 Gbit/s. Its mantissa is one less than that of `UNKNOWN`.
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
    fn full_history_drops_the_oldest_rate() {
        let mut history = RateHistory::default();
        for bps in 0..=LENGTH as u64 {
            history.push(Rates { rx_bps: Some(bps), tx_bps: None });
        }
        assert_eq!(history.iter().len(), LENGTH);
        assert_eq!(history.iter().next(), Some(Rates { rx_bps: Some(1), tx_bps: None }));
    }

    #[test]
    fn rate_above_the_largest_is_clamped() {
        assert_eq!(CompactRate::of(Some(u64::MAX)).value(), Some(CompactRate::MOST));
        assert_eq!(CompactRate::of(None).value(), None);
        assert_eq!(CompactRate::of(Some(2047)).value(), Some(2047));
    }

    proptest! {
        #[test]
        fn compact_rate_differs_by_half_a_permille(rate in 0..CompactRate::MOST) {
            let kept = CompactRate::of(Some(rate)).value().unwrap();
            prop_assert!(kept.abs_diff(rate) <= rate / 2000, "{rate} became {kept}");
        }
    }
}
