//! `run`: starts a command and reports the traffic of the command and its descendants when the last of them has ended.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use super::failure::{Failure, note};
use super::host_names::HostNames;
use crate::config::{ReportTarget, RunConfig, Verbosity};
use crate::source::system::{Children, Live};
use net_traffic_model::{Model, Retention};
use net_traffic_output::{Format, Output};
use net_traffic_snapshot::Progress;
use net_traffic_view::{Run, View};
use std::time::Duration;

/// How often the maps are read while the command runs: sockets that end must not fill the ring.
const INTERVAL: Duration = Duration::from_secs(1);

/// Returns the command's own exit status.
pub(super) fn run(config: &RunConfig) -> Result<ExitCode, Failure> {
    let RunConfig { command, live, report, target, verbosity } = config;
    let mut writer = open(target)?;
    let waiting = |error: io::Error| Failure::Failed(format!("failed to wait for the command: {error}"));
    let mut children = Children::adopt().map_err(waiting)?;
    // Processes that this one starts from here on are traced.
    let mut source = Live::open(live)?;
    let mut model = Model::new(report.selection.within(source.scope()), Retention::for_run());
    model.advance(source.snapshot()?);
    if let Err(error) = children.start(command) {
        note(&error.to_string());
        return Ok(ExitCode::from(error.status()));
    }
    let mut noted = *verbosity == Verbosity::Quiet;
    loop {
        match children.wait(INTERVAL).map_err(waiting)? {
            Progress::Running => {}
            Progress::Outlived if noted => {}
            Progress::Outlived => {
                note("the command has ended; waiting for its descendants (Ctrl-C ends the wait)");
                noted = true;
            }
            Progress::Over | Progress::Abandoned => break,
        }
        model.advance(source.snapshot()?);
    }
    model.advance(source.snapshot()?);
    if report.options.names {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(waiting)?;
        runtime.block_on(HostNames::default().resolve_all(&mut model));
    }
    let status = children.status().unwrap_or(1);
    if let Err(error) = write_report(config, &model, status, &mut *writer)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The exit status stays the command's.
        note(&format!("failed to write the report: {error}"));
    }
    Ok(ExitCode::from(status))
}

fn write_report(
    config: &RunConfig,
    model: &Model,
    exit_status: u8,
    writer: &mut dyn Write,
) -> io::Result<()> {
    let mut settings = config.report.output.clone();
    if config.target == ReportTarget::StandardError && settings.format == Format::Table {
        settings.width = net_traffic_output::error_width();
        settings.color = settings.color && settings.width.is_some();
    }
    let mut bytes = Vec::new();
    let report = Run { exit_status }.report(model, &config.report.options);
    Output::new(settings).write(&mut bytes, &report)?;
    writer.write_all(&bytes)?;
    writer.flush()
}

/// Opens the target before the command runs, so that a file that cannot be created fails early.
fn open(target: &ReportTarget) -> Result<Box<dyn Write>, Failure> {
    Ok(match target {
        ReportTarget::StandardOutput => Box::new(io::stdout()),
        ReportTarget::StandardError => Box::new(io::stderr()),
        ReportTarget::File(file) => Box::new(
            File::create(file)
                .map_err(|error| Failure::Failed(format!("failed to create {}: {error}", file.display())))?,
        ),
    })
}
