//! The self-test: known traffic, what was counted of it, and whether every promise was kept.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use super::failure::{Failure, note};
use crate::config::{Config, SelftestConfig, SourceConfig};
use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::Output;
use net_traffic_snapshot::selftest::Report;
use net_traffic_snapshot::{OpenError, Tier};

/// Succeeds only if every promise was kept.
pub(super) fn run(config: &Config, selftest: &SelftestConfig) -> Result<ExitCode, Failure> {
    let SourceConfig::Live(live) = &config.source else {
        return Err(Failure::Usage("the self-test needs this machine, not a recording".to_owned()));
    };
    let trial = trial(live.tier, selftest.duration)?;
    if let Some(reason) = trial.shared.as_ref().filter(|_| !config.quiet) {
        note(&format!("no network namespace of its own, so it runs on loopback: {reason}"));
    }
    let mut model = Model::new(Selection::default(), Retention::default());
    model.advance(trial.last.clone());
    let mut bytes = Vec::new();
    Output::new(selftest.output.clone())
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

/// The self-test's workers are this program, started again. The exit status, if this process is a worker.
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
