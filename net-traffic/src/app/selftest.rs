//! The self-test: known traffic, what was counted of it, and whether every promise was kept.

use std::io::{self, Write};
use std::process::ExitCode;

use super::failure::{Failure, note};
use crate::config::{Config, SelftestConfig, SourceConfig};
use crate::model::{Model, Retention, Selection};
use crate::output::Output;
use crate::source;
use crate::view;

/// Succeeds only if every promise was kept.
pub(super) fn run(config: &Config, selftest: &SelftestConfig) -> Result<ExitCode, Failure> {
    let SourceConfig::Live(live) = &config.source else {
        return Err(Failure::Usage("the self-test needs this machine, not a recording".to_owned()));
    };
    let trial = source::selftest(live.tier, selftest.duration)?;
    if let Some(reason) = trial.shared.as_ref().filter(|_| !config.quiet) {
        note(&format!("no network namespace of its own, so it runs on loopback: {reason}"));
    }
    let mut model = Model::new(Selection::default(), Retention::default());
    model.advance(trial.last.clone());
    let mut bytes = Vec::new();
    Output::new(selftest.output.clone()).write(&mut bytes, &view::selftest::report(&trial, &model))?;
    let mut out = io::stdout().lock();
    out.write_all(&bytes)?;
    out.flush()?;
    if trial.passed() {
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::Failed("a promise was not kept: what was counted is not what was sent".to_owned()))
    }
}
