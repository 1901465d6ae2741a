//! The pace: when the next snapshot is due, of this machine or of a recording.

use std::io::{self, IsTerminal};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use crate::config::Config;
use net_traffic_model::Time;

/// When the next snapshot is due.
pub(super) struct Ticks {
    live: tokio::time::Interval,
    replay: ReplayPace,
    before: Option<(Time, Instant)>,
}

/// How fast a recording is shown.
enum ReplayPace {
    /// To a program: it has no patience to be spared.
    AtOnce,
    /// As it was recorded.
    Recorded,
    Every(Duration),
}

impl Ticks {
    pub(super) fn new(config: &Config) -> Self {
        let mut live = interval(config.pace.interval);
        live.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let watched = io::stdout().is_terminal();
        let replay = match (watched, config.pace.chosen) {
            (false, _) => ReplayPace::AtOnce,
            (true, true) => ReplayPace::Every(config.pace.interval),
            (true, false) => ReplayPace::Recorded,
        };
        Self { live, replay, before: None }
    }

    /// Returns when it is time: for the next reading, or to show the recorded one of that time.
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
