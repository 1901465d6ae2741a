//! Counts known traffic on every tier that this kernel grants, in a network namespace of its own where it may.

#![cfg(target_os = "linux")]

mod capture;
mod speed;
pub mod traffic;

use std::time::Duration;

pub use self::traffic::act_if_told;
use self::traffic::compare::{Moment, Seen, compare, promised};
use self::traffic::{Case, NetNs, Stage, TrafficError, cases};
use net_traffic_linux::Live;
use net_traffic_snapshot::selftest::{CaseTrial, TierTrial, Trial};
use net_traffic_snapshot::{LiveOptions, OpenError, Tier};
use net_traffic_snapshot::{Loss, Snapshot};

/// Each kind of traffic that the tracer claims to count, and no case that takes long.
const CASES: &[&str] = &[
    "tcp_older",
    "tcp_plain",
    "tcp_ipv6",
    "tcp_stream",
    "tcp_vectored",
    "tcp_sendfile",
    "tcp_splice_send",
    "tcp_splice_receive",
    "tcp_zerocopy",
    "tcp_peek",
    "tcp_end_of_stream",
    "tcp_reset",
    "tcp_shared_writers",
    "tcp_passed",
    "tcp_brief_processes",
    "tcp_short_connections",
    "udp_connected",
    "udp_unconnected",
    "udp_ipv6",
    "udp_exchange",
    "udp_many_messages",
    "udp_peek",
    "udp_truncated",
    "udp_shared_writers",
    "mptcp",
    "ktls",
];

/// Where the kernel has forgotten a connection before it is asked; `polling` promises nothing about those.
const ENDED: &[&str] = &["tcp_end_of_stream", "tcp_reset"];

/// Set to anything, programs lose one event in a thousand: for the test of the self-test.
const SABOTAGE: &str = "NET_TRAFFIC_SABOTAGE";
const SABOTAGE_ONE_IN: u32 = 1000;

/// Runs the self-test: one tier, or all, and a capture of every packet.
///
/// `duration` is for all measurements of speed together.
///
/// # Errors
/// When a tier that the user insists on is refused, or the traffic itself failed.
pub fn run(tier: Tier, duration: Duration) -> Result<Trial, OpenError> {
    let namespace = NetNs::enter_new();
    let mut trial = Trial { shared: namespace.as_ref().err().map(ToString::to_string), ..Trial::default() };
    let tiers = match tier {
        Tier::Auto => vec![Tier::TpBtf, Tier::Fentry, Tier::Kprobe, Tier::Polling],
        chosen => vec![chosen],
    };
    let parts = u32::try_from(tiers.len() + 1).unwrap_or(1);
    let each = duration / parts;
    trial.uncounted = speed::measure(each).map_err(failed)?;
    for chosen in tiers {
        match on_tier(chosen, each) {
            Ok((tried, last)) => {
                trial.tiers.push(tried);
                trial.last = last;
            }
            Err(Stopped::Refused(refusal)) if tier == Tier::Auto => {
                let refused = Some(refusal.to_string());
                trial.tiers.push(TierTrial { tier: chosen.name(), refused, ..TierTrial::default() });
            }
            Err(Stopped::Refused(refusal)) => return Err(refusal),
            Err(Stopped::Broken(error)) => return Err(failed(error)),
        }
    }
    if tier != Tier::Polling {
        trial.tiers.push(capture::run(namespace.is_ok()).map_err(failed)?);
    }
    Ok(trial)
}

enum Stopped {
    Refused(OpenError),
    Broken(TrafficError),
}

impl From<TrafficError> for Stopped {
    fn from(error: TrafficError) -> Self {
        Self::Broken(error)
    }
}

fn failed(error: TrafficError) -> OpenError {
    OpenError::Failed { attempt: "send known traffic".to_owned(), cause: std::io::Error::other(error) }
}

/// All cases with one tracer, which is loaded once. What is older than the tracer is prepared before.
fn on_tier(tier: Tier, duration: Duration) -> Result<(TierTrial, Snapshot), Stopped> {
    let hooks = tier != Tier::Polling;
    let chosen = |case: &&Case| CASES.contains(&case.name) && (hooks || !ENDED.contains(&case.name));
    let (older, younger): (Vec<&Case>, Vec<&Case>) = cases().filter(chosen).partition(|case| case.older);
    let mut stages = Vec::new();
    for case in older {
        stages.push((case, Stage::prepare(case)));
    }
    let lose_one_in = if std::env::var_os(SABOTAGE).is_some() { SABOTAGE_ONE_IN } else { 0 };
    let options = LiveOptions { counting: true, tier, lose_one_in, ..LiveOptions::default() };
    let mut tracer =
        Tracer { live: Live::open(&options).map_err(Stopped::Refused)?, seen: Seen::default(), hooks };
    let mut tried = TierTrial { tier: tier.name(), ..TierTrial::default() };
    for (case, stage) in stages {
        tried.cases.push(tracer.try_case(case, stage)?);
    }
    for case in younger {
        tried.cases.push(tracer.try_case(case, Stage::prepare(case))?);
    }
    tried.speed = Some(speed::measure(duration)?);
    let last = tracer.read()?;
    tried.lost = total(last.loss);
    Ok((tried, last))
}

struct Tracer {
    live: Live,
    seen: Seen,
    hooks: bool,
}

impl Tracer {
    fn try_case(
        &mut self,
        case: &Case,
        stage: Result<Stage, TrafficError>,
    ) -> Result<CaseTrial, TrafficError> {
        match stage.and_then(|stage| self.count(case, stage)) {
            Err(error @ TrafficError::Unsupported { .. }) => {
                Ok(CaseTrial { case: case.name, skipped: Some(error.to_string()), ..CaseTrial::default() })
            }
            outcome => outcome,
        }
    }

    /// While everything is open, and after everything is closed, the numbers must be the same.
    fn count(&mut self, case: &Case, mut stage: Stage) -> Result<CaseTrial, TrafficError> {
        let truth = stage.run()?;
        let mut differences = Vec::new();
        self.read()?;
        differences.extend(compare(&truth, &self.seen, self.hooks, Moment::Open));
        let (moved, counted) = promised(&truth, &self.seen, self.hooks);
        stage.finish()?;
        self.read()?;
        differences.extend(compare(&truth, &self.seen, self.hooks, Moment::Closed));
        let off = differences.iter().map(|found| found.expected.abs_diff(found.counted.unwrap_or(0)));
        Ok(CaseTrial {
            case: case.name,
            moved,
            counted,
            error: off.sum(),
            difference: differences.first().map(ToString::to_string),
            skipped: (moved == 0 && differences.is_empty())
                .then(|| "this tier promises nothing about it".to_owned()),
        })
    }

    fn read(&mut self) -> Result<Snapshot, TrafficError> {
        let snapshot = self.live.snapshot().map_err(|error| TrafficError::Broken(error.to_string()))?;
        self.seen.add(snapshot.clone());
        Ok(snapshot)
    }
}

fn total(loss: Loss) -> u64 {
    let Loss { map_full, map_busy, storage_failed, ring_full, queue_full, missed_hooks } = loss;
    map_full + map_busy + storage_failed + ring_full + queue_full + missed_hooks
}
