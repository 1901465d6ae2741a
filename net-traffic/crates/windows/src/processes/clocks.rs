//! The difference between the clock of ETW events and the clock of process start times.
//!
//! Start times come from the system time, which is set and corrected. An ETW session reads the system time at its start
//! and then advances with `QueryPerformanceCounter`, which is neither
//! (<https://learn.microsoft.com/en-us/windows/win32/etw/wnode-header>, `ClientContext`).

use crate::platform::host;
use net_traffic_snapshot::Time;

/// In steps of 100 ns.
const STEP_NS: i64 = 100;
/// The allowed difference of clocks that agree, in steps of 100 ns: they have different resolutions and are not read at
/// the same instant.
const MIN_DIFFERENCE: i64 = 200_000;

#[derive(Debug, Default)]
pub(super) struct Clocks {
    began: Option<Time>,
    /// How much earlier than the start of its process an event may appear, in steps of 100 ns.
    pub(super) max_difference: i64,
}

impl Clocks {
    /// Reads both clocks, and computes their drift since the first call.
    pub(super) fn read(&mut self) {
        self.update(host::now());
    }

    fn update(&mut self, now: Time) {
        let began = *self.began.get_or_insert(now);
        let by_counter = now.monotonic_ns.saturating_sub(began.monotonic_ns);
        let by_clock = now.unix_ns.saturating_sub(began.unix_ns);
        let drift_ns = by_clock.saturating_sub(i64::try_from(by_counter).unwrap_or(i64::MAX));
        self.max_difference = (drift_ns / STEP_NS).saturating_abs().saturating_add(MIN_DIFFERENCE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setting_the_system_time_adds_to_the_difference() {
        let mut clocks = Clocks::default();
        let mut added = |unix_ns, monotonic_ns| {
            clocks.update(Time { unix_ns, monotonic_ns });
            clocks.max_difference - MIN_DIFFERENCE
        };
        let began = 1_700_000_000_000_000_000;
        assert_eq!(added(began, 5_000), 0);
        assert_eq!(added(began + 1_000_000_000, 1_000_005_000), 0);
        // Set forward by two seconds, and back by three.
        assert_eq!(added(began + 4_000_000_000, 2_000_005_000), 20_000_000);
        assert_eq!(added(began + 2_000_000_000, 3_000_005_000), 10_000_000);
    }
}
