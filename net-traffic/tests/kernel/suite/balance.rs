//! The ground truth of each case adds up: sent and received bytes, and unique identities.

use std::collections::BTreeSet;

use libtest_mimic::{Completion, Failed};
use net_traffic_selftest::traffic::{Case, CaseRun, NetNs, TrafficError, Transfer};
use net_traffic_snapshot::Bytes;

use super::skips::{Reason, skip};

/// The trial `traffic::<case>`, without a tracer.
pub(super) fn check(case: &Case) -> Result<Completion, Failed> {
    let name = format!("traffic::{}", case.name);
    let played = match NetNs::enter_new() {
        Ok(_namespace) => play(case),
        Err(error) => return skip(&name, &Reason::Rights(error)),
    };
    // `skip` reads /proc of the machine's own namespace.
    match played {
        Err(TrafficError::Unsupported { feature, reason }) => skip(&name, &Reason::Feature(feature, reason)),
        Err(error) => Err(error.to_string().into()),
        Ok(truth) => balance(case, &truth).map(|()| Completion::Completed),
    }
}

fn play(case: &Case) -> Result<Vec<Transfer>, TrafficError> {
    let mut run = CaseRun::prepare(case)?;
    let truth = run.run()?;
    run.finish()?;
    Ok(truth)
}

fn balance(case: &Case, truth: &[Transfer]) -> Result<(), Failed> {
    let lifetime = total(truth, |moved| moved.lifetime);
    let stated = Bytes { rx: case.received, tx: case.sent };
    if lifetime != stated {
        return Err(format!("it moved {lifetime:?}, its case says {stated:?}: {truth:#?}").into());
    }
    let counted = total(truth, |moved| moved.counted);
    if !case.starts_before_tracer && counted != lifetime {
        return Err(format!("nothing is older than the tracer, but {counted:?} is not {lifetime:?}").into());
    }
    let records: BTreeSet<_> = truth.iter().map(|moved| (moved.process, moved.socket)).collect();
    if records.len() < truth.len() || truth.iter().any(|moved| moved.socket.0 == 0 || moved.process.pid == 0)
    {
        return Err(format!("a process or a socket lacks an identity of its own: {truth:#?}").into());
    }
    Ok(())
}

fn total(truth: &[Transfer], of: impl Fn(&Transfer) -> Bytes) -> Bytes {
    truth.iter().map(of).fold(Bytes::default(), |sum, one| Bytes { rx: sum.rx + one.rx, tx: sum.tx + one.tx })
}
