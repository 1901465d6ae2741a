//! Sends known traffic and compares it with the counted bytes, on every tier that the kernel grants.
//!
//! The traffic runs in a network namespace of its own if the process may create one, else on loopback.

#![cfg(target_os = "linux")]

mod capture;
mod speed;
pub mod traffic;

use std::time::Duration;

use self::traffic::compare::{Observed, Phase, compare, expected_and_counted};
use self::traffic::{Case, CaseRun, NetNs, TrafficError, cases};
use net_traffic_linux::Live;
use net_traffic_snapshot::selftest::{CaseResult, Report, TierResult};
use net_traffic_snapshot::{Counting, LiveOptions, OpenError, Tier};
use net_traffic_snapshot::{Loss, Snapshot};

/// One case of each kind of traffic that the tracer counts, without the slow ones.
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

/// The kernel removes these connections before a reading, so `polling` cannot count them.
const ENDED: &[&str] = &["tcp_end_of_stream", "tcp_reset"];

/// With any value, the eBPF programs skip one event in a thousand: for the test of the self-test.
const FAULT_INJECT: &str = "NET_TRAFFIC_FAULT_INJECT";
const FAULT_ONE_IN: u32 = 1000;

/// Runs the self-test: one tier or all tiers, and a packet capture.
///
/// `duration` is the total time of the speed measurements.
///
/// # Errors
/// When the kernel refuses the tier that the caller chose, or the traffic fails.
pub fn run(tier: Tier, duration: Duration) -> Result<Report, OpenError> {
    let namespace = NetNs::enter_new();
    let mut report =
        Report { shared: namespace.as_ref().err().map(ToString::to_string), ..Report::default() };
    let tiers = match tier {
        Tier::Auto => vec![Tier::TpBtf, Tier::Fentry, Tier::Kprobe, Tier::Polling],
        chosen => vec![chosen],
    };
    let parts = u32::try_from(tiers.len() + 1).unwrap_or(1);
    let each = duration / parts;
    report.uncounted = speed::measure(each).map_err(failed)?;
    for chosen in tiers {
        match on_tier(chosen, each) {
            Ok((result, last)) => {
                report.tiers.push(result);
                report.last = last;
            }
            Err(Failure::Refused(refusal)) if tier == Tier::Auto => {
                let refused = Some(refusal.to_string());
                report.tiers.push(TierResult { tier: chosen.name(), refused, ..TierResult::default() });
            }
            Err(Failure::Refused(refusal)) => return Err(refusal),
            Err(Failure::Traffic(error)) => return Err(failed(error)),
        }
    }
    if tier != Tier::Polling {
        report.tiers.push(capture::run(namespace.is_ok()).map_err(failed)?);
    }
    Ok(report)
}

enum Failure {
    Refused(OpenError),
    Traffic(TrafficError),
}

impl From<TrafficError> for Failure {
    fn from(error: TrafficError) -> Self {
        Self::Traffic(error)
    }
}

fn failed(error: TrafficError) -> OpenError {
    OpenError::Failed { attempt: "send known traffic".to_owned(), cause: std::io::Error::other(error) }
}

/// Plays all cases with one tracer. Cases with sockets older than the tracer are prepared before its start.
fn on_tier(tier: Tier, duration: Duration) -> Result<(TierResult, Snapshot), Failure> {
    let hooks = tier != Tier::Polling;
    let chosen = |case: &&Case| CASES.contains(&case.name) && (hooks || !ENDED.contains(&case.name));
    let (before, after): (Vec<&Case>, Vec<&Case>) =
        cases().filter(chosen).partition(|case| case.starts_before_tracer);
    let prepared: Vec<_> = before.into_iter().map(|case| (case, CaseRun::prepare(case))).collect();
    let lose_one_in = if std::env::var_os(FAULT_INJECT).is_some() { FAULT_ONE_IN } else { 0 };
    let options = LiveOptions { counting: Counting::Sockets, tier, ..LiveOptions::default() };
    let mut tracer = Tracer {
        live: Live::open_with_faults(&options, lose_one_in).map_err(Failure::Refused)?,
        observed: Observed::default(),
        hooks,
    };
    let mut result = TierResult { tier: tier.name(), ..TierResult::default() };
    for (case, run) in prepared {
        result.cases.push(tracer.play(case, run)?);
    }
    for case in after {
        result.cases.push(tracer.play(case, CaseRun::prepare(case))?);
    }
    result.speed = Some(speed::measure(duration)?);
    let last = tracer.read()?;
    result.lost = total(last.loss);
    Ok((result, last))
}

struct Tracer {
    live: Live,
    observed: Observed,
    hooks: bool,
}

impl Tracer {
    fn play(&mut self, case: &Case, run: Result<CaseRun, TrafficError>) -> Result<CaseResult, TrafficError> {
        match run.and_then(|run| self.measure(case, run)) {
            Err(error @ TrafficError::Unsupported { .. }) => {
                Ok(CaseResult { case: case.name, skipped: Some(error.to_string()), ..CaseResult::default() })
            }
            outcome => outcome,
        }
    }

    /// Compares twice: while the sockets are open, and after all processes have exited.
    fn measure(&mut self, case: &Case, mut run: CaseRun) -> Result<CaseResult, TrafficError> {
        let truth = run.run()?;
        let mut differences = Vec::new();
        self.read()?;
        differences.extend(compare(&truth, &self.observed, self.hooks, Phase::Open));
        let (moved, counted) = expected_and_counted(&truth, &self.observed, self.hooks);
        run.finish()?;
        self.read()?;
        differences.extend(compare(&truth, &self.observed, self.hooks, Phase::Closed));
        let errors = differences
            .iter()
            .map(|difference| difference.expected.abs_diff(difference.counted.unwrap_or(0)));
        Ok(CaseResult {
            case: case.name,
            moved,
            counted,
            error: errors.sum(),
            difference: differences.first().map(ToString::to_string),
            skipped: (moved == 0 && differences.is_empty())
                .then(|| "this tier does not count this traffic".to_owned()),
        })
    }

    fn read(&mut self) -> Result<Snapshot, TrafficError> {
        let snapshot = self.live.snapshot().map_err(|error| TrafficError::Unexpected(error.to_string()))?;
        self.observed.add(snapshot.clone());
        Ok(snapshot)
    }
}

fn total(loss: Loss) -> u64 {
    let Loss { map_full, map_busy, storage_failed, ring_full, queue_full, missed_hooks } = loss;
    map_full + map_busy + storage_failed + ring_full + queue_full + missed_hooks
}
