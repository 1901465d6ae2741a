//! `selftest`: sends known traffic and reports what was counted of it.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::failure::{Failure, note};
use crate::config::{SelftestConfig, Verbosity};
use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::Output;
use net_traffic_snapshot::selftest::Report;
use net_traffic_snapshot::{OpenError, Tier};

/// Succeeds only if each case was counted exactly.
pub(super) fn run(config: &SelftestConfig) -> Result<ExitCode, Failure> {
    let trial = trial(config.tier, config.duration)?;
    if let Some(reason) = trial.shared.as_ref().filter(|_| config.verbosity != Verbosity::Quiet) {
        note(&format!("no network namespace of its own, so it runs on loopback: {reason}"));
    }
    let mut model = Model::new(Selection::default(), Retention::default());
    model.advance(trial.last.clone());
    let mut bytes = Vec::new();
    Output::new(config.output.clone())
        .write(&mut bytes, &net_traffic_view::selftest::report(&trial, &model))?;
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()?;
    if trial.passed() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::Failed("a promise was not kept: what was counted is not what was sent".to_owned()))
    }
}

/// Runs a worker of the self-test, if this process was started as one; `None` if it was not.
pub(super) fn run_worker_if_requested() -> Option<ExitCode> {
    #[cfg(all(target_os = "linux", feature = "selftest"))]
    return net_traffic_selftest::traffic::run_worker_if_requested(net_traffic_selftest::traffic::cases());
    #[cfg(not(all(target_os = "linux", feature = "selftest")))]
    None
}

#[cfg(all(target_os = "linux", feature = "selftest"))]
fn trial(tier: Tier, duration: Duration) -> Result<Report, OpenError> {
    net_traffic_selftest::run(tier, duration)
}

#[cfg(not(all(target_os = "linux", feature = "selftest")))]
fn trial(_tier: Tier, _duration: Duration) -> Result<Report, OpenError> {
    Err(OpenError::Usage("the self-test runs on Linux only, in a program that was built with it".to_owned()))
}
