//! A series of snapshots, live or recorded: reports of a view, or a new recording.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::failure::{Failure, note};
use super::host_names::HostNames;
use super::opening;
use super::screen;
use super::stdout::write;
use super::ticks::Ticks;
use crate::config::{RecordConfig, ReportConfig, SeriesConfig, SourceConfig, Verbosity, ViewConfig};
use crate::source::Source;
use crate::source::system::Stop;
use net_traffic_model::{Model, Retention};
use net_traffic_output::Output;
use net_traffic_snapshot::{Recorder, Snapshot, Status};

/// Shows a view: as reports, or as the full screen.
pub(super) fn view(config: &ViewConfig) -> Result<(), Failure> {
    run(async |stop| {
        if let Some(screen) = config.screen {
            let stop = stop.with_hangup().map_err(failed_to_start)?;
            return screen::show(config, screen, stop).await;
        }
        let source = opening::open_for(config)?;
        let reports = Reports::new(&config.report, source.scope());
        follow(&config.series, source, Sink::Reports(reports), stop).await
    })
}

/// Writes a recording.
pub(super) fn record(config: &RecordConfig) -> Result<(), Failure> {
    run(async |stop| {
        let source = opening::open(&config.series.source)?;
        let recorder = Recorder::begin(create(&config.file)?)?;
        follow(&config.series, source, Sink::Recorder(recorder), stop).await
    })
}

fn run(task: impl AsyncFnOnce(Stop) -> Result<(), Failure>) -> Result<(), Failure> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed_to_start)?;
    let result = runtime.block_on(async { task(Stop::listen().map_err(failed_to_start)?).await });
    // A thread that is blocked in a write must not delay the exit.
    runtime.shutdown_background();
    result
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed_to_start(error: io::Error) -> Failure {
    Failure::Failed(format!("failed to start: {error}"))
}

/// Reads snapshots at their pace and writes what the sink makes of each.
async fn follow(
    config: &SeriesConfig,
    mut source: Source,
    mut sink: Sink<'_>,
    mut stop: Stop,
) -> Result<(), Failure> {
    let mut ticks = Ticks::new(config.pace);
    let mut notes = Notes::new(config, &sink);
    let mut written = 0;
    while config.pace.count.is_none_or(|count| written < count) {
        if matches!(source, Source::Live(_)) {
            tokio::select! {
                () = stop.wait() => return Ok(()),
                () = ticks.next(None) => (),
            }
        }
        let Some(snapshot) = source.snapshot()? else { break };
        if matches!(source, Source::Replay(_)) {
            tokio::select! {
                () = stop.wait() => return Ok(()),
                () = ticks.next(Some(snapshot.at)) => (),
            }
        }
        if let (0, Sink::Reports(reports)) = (written, &sink) {
            opening::check_interfaces(&reports.config.selection, &snapshot)?;
        }
        notes.write(&snapshot);
        let is_only = config.pace.count == Some(1);
        let bytes = tokio::select! {
            () = stop.wait() => return Ok(()),
            bytes = sink.consume(snapshot, is_only) => bytes?,
        };
        tokio::select! {
            () = stop.wait() => return Ok(()),
            result = write(bytes) => result?,
        }
        written += 1;
    }
    Ok(())
}

/// Notes on standard error about what is missing and how to get it: one for each slot.
struct Notes {
    enabled: bool,
    verbose: bool,
    noted: HashSet<String>,
}

impl Notes {
    /// Without notes: `-q`, `doctor` (its report has them), and a recording (its slots cannot be improved any more).
    fn new(config: &SeriesConfig, sink: &Sink<'_>) -> Self {
        let is_doctor = matches!(sink, Sink::Reports(reports) if reports.config.view.name() == "doctor");
        let is_replay = matches!(config.source, SourceConfig::Replay(_));
        Self {
            enabled: config.verbosity != Verbosity::Quiet && !is_doctor && !is_replay,
            verbose: config.verbosity == Verbosity::Verbose,
            noted: HashSet::new(),
        }
    }

    fn write(&mut self, snapshot: &Snapshot) {
        if !self.enabled {
            return;
        }
        let mut slots = Vec::new();
        let mut messages: Vec<String> = Vec::new();
        let relevant = snapshot.status.iter().filter(|status| self.verbose || status.tier.is_none());
        for status in relevant.filter(|status| !self.noted.contains(&status.slot)) {
            let Some(message) = explanation(status) else { continue };
            slots.push(status.slot.clone());
            if !messages.contains(&message) {
                note(&format!("{}: {message}", status.slot));
                messages.push(message);
            }
        }
        self.noted.extend(slots);
    }
}

/// What does not work here, why, and the remedy.
pub(super) fn remarks(status: &[Status]) -> Vec<String> {
    let missing = status.iter().filter(|status| status.tier.is_none());
    missing.filter_map(|status| Some(format!("{}: {}", status.slot, explanation(status)?))).collect()
}

fn explanation(status: &Status) -> Option<String> {
    let remedy = status.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
    Some(format!("{}{remedy}", status.reason.as_ref()?))
}

/// The consumer of snapshots.
enum Sink<'c> {
    Reports(Reports<'c>),
    Recorder(Recorder<Box<dyn Write>>),
}

impl Sink<'_> {
    /// The bytes for standard output.
    async fn consume(&mut self, snapshot: Snapshot, is_only: bool) -> Result<Vec<u8>, Failure> {
        match self {
            Self::Reports(reports) => reports.report(snapshot, is_only).await,
            Self::Recorder(recorder) => {
                recorder.add(&snapshot)?;
                Ok(Vec::new())
            }
        }
    }
}

/// The model of a view, and the output of its reports.
struct Reports<'c> {
    config: &'c ReportConfig,
    model: Box<Model>,
    host_names: HostNames,
    output: Output,
}

impl<'c> Reports<'c> {
    fn new(config: &'c ReportConfig, scope: Option<u32>) -> Self {
        Self {
            config,
            model: Box::new(Model::new(config.selection.within(scope), Retention::default())),
            host_names: HostNames::default(),
            output: Output::new(config.output.clone()),
        }
    }

    async fn report(&mut self, snapshot: Snapshot, is_only: bool) -> Result<Vec<u8>, Failure> {
        let Self { config, model, host_names, output } = self;
        model.advance(snapshot);
        match (config.options.names, is_only) {
            (true, true) => host_names.resolve_all(model).await,
            (true, false) => host_names.resolve(model),
            (false, _) => {}
        }
        let mut bytes = Vec::new();
        output.write(&mut bytes, &config.view.report(model, &config.options))?;
        Ok(bytes)
    }
}

fn create(file: &Path) -> Result<Box<dyn Write>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(io::stdout()));
    }
    match File::create(file) {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Failure::Failed(format!("failed to create {}: {error}", file.display()))),
    }
}
