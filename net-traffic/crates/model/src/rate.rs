//! Rates: the difference of two readings of a cumulative counter over the time between them.

use net_traffic_snapshot::Bytes;

/// Bits per second, received and sent. `None` after one reading, and after a counter went backwards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rates {
    pub rx_bps: Option<u64>,
    pub tx_bps: Option<u64>,
}

impl Rates {
    /// The rates between two readings `elapsed_ns` apart.
    pub(crate) fn between(before: Option<Bytes>, now: Option<Bytes>, elapsed_ns: u64) -> Self {
        let (Some(before), Some(now)) = (before, now) else { return Self::default() };
        Self {
            rx_bps: bits_per_second(before.rx, now.rx, elapsed_ns),
            tx_bps: bits_per_second(before.tx, now.tx, elapsed_ns),
        }
    }

    /// Adds other rates; an unknown one counts as zero unless both are unknown.
    pub(crate) fn add(&mut self, other: Self) {
        self.rx_bps = add(self.rx_bps, other.rx_bps);
        self.tx_bps = add(self.tx_bps, other.tx_bps);
    }

    /// The sum of both directions; `None` if both are unknown.
    #[must_use]
    pub fn total(self) -> Option<u64> {
        add(self.rx_bps, self.tx_bps)
    }
}

/// The sum of the known parts; `None` if both are unknown.
#[must_use]
pub fn add(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.saturating_add(other)),
        (known, None) | (None, known) => known,
    }
}

pub(crate) fn bits_per_second(before: u64, now: u64, elapsed_ns: u64) -> Option<u64> {
    let bits = u128::from(now.checked_sub(before)?) * 8;
    let per_second = (bits * 1_000_000_000).checked_div(u128::from(elapsed_ns))?;
    u64::try_from(per_second).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn counter_difference_gives_bits_per_second() {
        assert_eq!(bits_per_second(1000, 3000, 2 * SECOND), Some(8000));
        assert_eq!(bits_per_second(0, u64::MAX, SECOND / 1000), None, "does not fit, so it is not known");
    }

    #[test]
    fn counter_that_went_backwards_has_no_rate() {
        let rates = Rates::between(Some(Bytes { rx: 10, tx: 10 }), Some(Bytes { rx: 5, tx: 20 }), SECOND);
        assert_eq!(rates, Rates { rx_bps: None, tx_bps: Some(80) });
    }

    #[test]
    fn single_reading_has_no_rate() {
        let bytes = Some(Bytes { rx: 1, tx: 1 });
        assert_eq!(Rates::between(None, bytes, SECOND), Rates::default());
        assert_eq!(Rates::between(bytes, bytes, 0), Rates::default());
    }
}
