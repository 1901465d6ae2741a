//! Waits for a condition with a limit that a busy machine does not reach.

use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(20);

/// The longest wait for one condition. `NET_TRAFFIC_SLOW` multiplies it, for an emulated machine.
pub fn patience() -> Duration {
    let slowness = std::env::var("NET_TRAFFIC_SLOW").ok().and_then(|times| times.parse().ok()).unwrap_or(1);
    Duration::from_mins(1).saturating_mul(slowness)
}

/// Returns when the condition holds; panics with `what` if it does not hold in time.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "a wait needs the clock")]
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience();
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(INTERVAL);
    }
}
