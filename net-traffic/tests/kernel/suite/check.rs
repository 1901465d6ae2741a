//! One case on one tier: the bytes of each process and socket, while they are open and after their end.

use std::sync::{Mutex, PoisonError};

use libtest_mimic::{Completion, Failed};
use net_traffic_selftest::traffic::{Case, CaseRun, NetNs, TrafficError};

use super::compare::{Difference, Observed, Phase, compare};
use super::known_gaps::unexplained;
use super::skips::{Reason, skip};
use super::tracer::{Refused, Tier, Tracer};

/// The number of printed differences.
const SHOWN: usize = 20;

enum Verdict {
    Differences(Vec<(Phase, Difference)>, Observed),
    Skip(Reason),
}

/// The tracer of a tier, shared by its cases except those that start before it: loading the programs takes longer than
/// most cases.
pub(super) type Shared<T> = Mutex<Option<(Tier, T)>>;

/// The trial `<tier>::<case>`.
pub(super) fn check<T: Tracer>(case: &Case, tier: Tier, shared: &Shared<T>) -> Result<Completion, Failed> {
    match count(case, tier, shared) {
        Ok(Verdict::Skip(reason)) => skip(&format!("{tier}::{}", case.name), &reason),
        Ok(Verdict::Differences(differences, observed)) => {
            let wrong = unexplained(tier, case.name, differences);
            if wrong.is_empty() {
                Ok(Completion::Completed)
            } else {
                Err(message(case, tier, &wrong, &observed).into())
            }
        }
        Err(TrafficError::Unsupported { feature, reason }) => {
            skip(&format!("{tier}::{}", case.name), &Reason::Feature(feature, reason))
        }
        Err(error) => Err(error.to_string().into()),
    }
}

/// The refused tiers, whose other cases need no traffic.
static REFUSED: Mutex<Vec<(Tier, Refused)>> = Mutex::new(vec![]);

fn count<T: Tracer>(case: &Case, tier: Tier, shared: &Shared<T>) -> Result<Verdict, TrafficError> {
    let mut refusals = REFUSED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, refused)) = refusals.iter().find(|(refusing, _)| *refusing == tier) {
        return Ok(Verdict::Skip(Reason::Tier(tier, refused.clone())));
    }
    let _namespace = match NetNs::enter_new() {
        Ok(namespace) => namespace,
        Err(error) => return Ok(Verdict::Skip(Reason::Rights(error))),
    };
    let mut run = CaseRun::prepare(case)?;
    let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
    let runs = matches!(&*shared, Some((running, _)) if *running == tier);
    // Polling reads the namespace in which it was started.
    if !runs || case.starts_before_tracer || !tier.hooks() {
        *shared = None;
        match T::start(tier) {
            Ok(tracer) => *shared = Some((tier, tracer)),
            Err(refused) => {
                refusals.push((tier, refused.clone()));
                return Ok(Verdict::Skip(Reason::Tier(tier, refused)));
            }
        }
    }
    let Some((_, tracer)) = &mut *shared else { return Err(TrafficError::Unexpected("no tracer".into())) };
    let truth = run.run()?;
    let mut observed = Observed::default();
    let mut differences = vec![];
    let mut read = |phase| {
        observed.add(tracer.snapshot().map_err(TrafficError::Unexpected)?);
        let found = compare(&truth, &observed, tier.hooks(), phase);
        differences.extend(found.into_iter().map(|difference| (phase, difference)));
        Ok::<_, TrafficError>(())
    };
    read(Phase::Open)?;
    run.finish()?;
    read(Phase::Closed)?;
    Ok(Verdict::Differences(differences, observed))
}

fn message(case: &Case, tier: Tier, wrong: &[String], observed: &Observed) -> String {
    let mut lines = vec![format!("{} ({}) on {tier}: {} differences", case.name, case.about, wrong.len())];
    lines.extend(wrong.iter().take(SHOWN).cloned());
    if wrong.len() > SHOWN {
        lines.push(format!("and {} more", wrong.len() - SHOWN));
    }
    lines.push(format!("the tracer's own ledger: {:?}", observed.loss()));
    lines.join("\n  ")
}
