//! The pace: when the next snapshot is due, live or recorded.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::config::Pace;
use net_traffic_model::Time;

/// The pace of a series.
pub(super) struct Ticks {
    live: tokio::time::Interval,
    replay: ReplayPace,
    before: Option<(Time, Instant)>,
}

/// How fast a recording is shown.
enum ReplayPace {
    /// Without a pause: standard output is no terminal.
    AtOnce,
    /// With the pauses of the recording.
    Recorded,
    Every(Duration),
}

impl Ticks {
    pub(super) fn new(pace: Pace) -> Self {
        let mut live = interval(pace.interval);
        live.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let replay = match (io::stdout().is_terminal(), pace.chosen) {
            (false, _) => ReplayPace::AtOnce,
            (true, true) => ReplayPace::Every(pace.interval),
            (true, false) => ReplayPace::Recorded,
        };
        Self { live, replay, before: None }
    }

    /// Returns when the next live snapshot is due, or when the recorded one of that time is.
    pub(super) async fn next(&mut self, recorded: Option<Time>) {
        let Some(at) = recorded else {
            self.live.tick().await;
            return;
        };
        if let Some((before, shown)) = self.before {
            let pause = match self.replay {
                ReplayPace::AtOnce => return,
                ReplayPace::Recorded => {
                    Duration::from_nanos(at.monotonic_ns.saturating_sub(before.monotonic_ns))
                }
                ReplayPace::Every(interval) => interval,
            };
            sleep(pause.saturating_sub(shown.elapsed())).await;
        }
        self.before = Some((at, Instant::now()));
    }
}
