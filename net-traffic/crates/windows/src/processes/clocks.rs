//! How far the times of events and of processes may be apart.
//!
//! A process has its start by the clock that people read, which is set and corrected. A session of event tracing reads
//! that clock when it begins, and counts on from there by a counter that is not.

use crate::host;
use net_traffic_snapshot::Time;

/// In steps of 100 ns.
const STEP_NS: i64 = 100;
/// What two clocks that agree may differ by: the one may be read in steps, and not at the same moment.
const LEAST: i64 = 200_000;

#[derive(Debug, Default)]
pub(super) struct Clocks {
    began: Option<Time>,
    /// The most that an event may seem to come before the start of its process, in steps of 100 ns.
    pub(super) apart: i64,
}

impl Clocks {
    /// Reads both; what they have drifted is counted from the first time.
    pub(super) fn read(&mut self) {
        self.hear(host::now());
    }

    fn hear(&mut self, now: Time) {
        let began = *self.began.get_or_insert(now);
        let by_counter = now.monotonic_ns.saturating_sub(began.monotonic_ns);
        let by_clock = now.unix_ns.saturating_sub(began.unix_ns);
        let drift_ns = by_clock.saturating_sub(i64::try_from(by_counter).unwrap_or(i64::MAX));
        self.apart = (drift_ns / STEP_NS).saturating_abs().saturating_add(LEAST);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_apart_by_what_one_of_them_was_set() {
        let mut clocks = Clocks::default();
        let mut apart = |unix_ns, monotonic_ns| {
            clocks.hear(Time { unix_ns, monotonic_ns });
            clocks.apart - LEAST
        };
        let began = 1_700_000_000_000_000_000;
        assert_eq!(apart(began, 5_000), 0);
        assert_eq!(apart(began + 1_000_000_000, 1_000_005_000), 0);
        // Set forward by two seconds, and back by three.
        assert_eq!(apart(began + 4_000_000_000, 2_000_005_000), 20_000_000);
        assert_eq!(apart(began + 2_000_000_000, 3_000_005_000), 10_000_000);
    }
}
