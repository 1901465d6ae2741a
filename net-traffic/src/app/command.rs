//! Runs a command and reports what it and its descendants moved, when the last of them has ended.

use std::fs::File;
use std::io::{self, Write};
use std::process::ExitCode;

use super::failure::{Failure, note};
use super::names::Naming;
use crate::config::{Config, Running, SourceConfig, Target};
use crate::source::system::{Children, Live};
use net_traffic_model::{Model, Retention};
use net_traffic_output::{Format, Output};
use net_traffic_snapshot::Progress;
use net_traffic_view::{Run, View};

/// Gives the status that the command ended with.
pub(super) fn run(config: &Config, running: &Running) -> Result<ExitCode, Failure> {
    let SourceConfig::Live(options) = &config.source else {
        return Err(Failure::Usage("run watches a command on this machine".to_owned()));
    };
    let target = Sink::open(&running.to)?;
    let waiting = |error: io::Error| Failure::Failed(format!("failed to wait for the command: {error}"));
    let mut children = Children::adopt().map_err(waiting)?;
    // From here on whatever this process starts is traced.
    let mut source = Live::open(options)?;
    let mut model = Model::new(running.viewing.selection.within(source.scope()), Retention::for_run());
    model.advance(source.snapshot()?);
    if let Err(error) = children.start(&running.command) {
        note(&error.to_string());
        return Ok(ExitCode::from(error.status()));
    }
    let mut told = config.quiet;
    loop {
        match children.wait(config.pace.interval).map_err(waiting)? {
            Progress::Running => {}
            Progress::Outlived if told => {}
            Progress::Outlived => {
                note("the command has ended; waiting for what it left running (Ctrl-C ends the wait)");
                told = true;
            }
            Progress::Over | Progress::Abandoned => break,
        }
        // In between, so that nothing that ends has to wait in the kernel for long.
        model.advance(source.snapshot()?);
    }
    model.advance(source.snapshot()?);
    if running.viewing.options.names {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(waiting)?;
        runtime.block_on(Naming::default().look_up_once(&mut model));
    }
    let status = children.status().unwrap_or(1);
    if let Err(error) = report(running, &model, status, target)
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        // The command's status is worth more to the caller than ours.
        note(&format!("failed to write the report: {error}"));
    }
    Ok(ExitCode::from(status))
}

fn report(running: &Running, model: &Model, exit_status: u8, mut target: Sink) -> io::Result<()> {
    let viewing = &running.viewing;
    let mut settings = viewing.output.clone();
    if running.to == Target::StandardError && settings.format == Format::Table {
        settings.width = net_traffic_output::error_width();
        settings.color = settings.color && settings.width.is_some();
    }
    let mut bytes = Vec::new();
    let report = Run { exit_status }.report(model, &viewing.options);
    Output::new(settings).write(&mut bytes, &report)?;
    target.0.write_all(&bytes)?;
    target.0.flush()
}

/// Where the report goes, opened before the command runs: a name that cannot be written should not cost a run.
struct Sink(Box<dyn Write>);

impl Sink {
    fn open(target: &Target) -> Result<Self, Failure> {
        Ok(Self(match target {
            Target::StandardOutput => Box::new(io::stdout()),
            Target::StandardError => Box::new(io::stderr()),
            Target::File(file) => {
                Box::new(File::create(file).map_err(|error| {
                    Failure::Failed(format!("failed to create {}: {error}", file.display()))
                })?)
            }
        }))
    }
}
