//! One report after the other, or one recorded snapshot after the other.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::failure::{Failure, note};
use super::names::Naming;
use super::opening::{check_interfaces, open};
use super::screen;
use super::stdout::write;
use super::ticks::Ticks;
use crate::config::{Config, Job, SourceConfig, Viewing};
use crate::source::Source;
use crate::source::system::Stop;
use net_traffic_model::{Model, Retention};
use net_traffic_output::Output;
use net_traffic_snapshot::{Recorder, Snapshot, Status};

/// Does what the configuration says, until it is done or somebody stops it.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        let stop = Stop::listen().map_err(failed)?;
        if let Job::View(viewing) = &config.job
            && let Some(screen) = viewing.screen
        {
            let stop = stop.with_hangup().map_err(failed)?;
            return screen::show(config, viewing, screen, stop).await;
        }
        follow(config, stop).await
    });
    // A writer that waits for a reader must not keep the program from ending.
    runtime.shutdown_background();
    result
}

async fn follow(config: &Config, mut stop: Stop) -> Result<(), Failure> {
    let mut source = open(config)?;
    let mut sink = Sink::new(&config.job, source.scope())?;
    let mut ticks = Ticks::new(config);
    let mut reports = 0;
    let mut explained = HashSet::new();
    while config.pace.count.is_none_or(|count| reports < count) {
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
        if reports == 0 {
            check_interfaces(config, &snapshot)?;
        }
        explain(config, &snapshot, &mut explained);
        let is_only = config.pace.count == Some(1);
        let bytes = tokio::select! {
            () = stop.wait() => return Ok(()),
            bytes = sink.take(snapshot, is_only) => bytes?,
        };
        tokio::select! {
            () = stop.wait() => return Ok(()),
            written = write(bytes) => written?,
        }
        reports += 1;
    }
    Ok(())
}

/// Says what is missing and how to get it, of each slot once; of a recording, nobody can change it any more.
fn explain(config: &Config, snapshot: &Snapshot, explained: &mut HashSet<String>) {
    let is_doctor = matches!(&config.job, Job::View(viewing) if viewing.view.name() == "doctor");
    if config.quiet || is_doctor || matches!(config.source, SourceConfig::Replay(_)) {
        return;
    }
    let mut slots = Vec::new();
    let mut said: Vec<String> = Vec::new();
    let concerned = snapshot.status.iter().filter(|status| config.verbose || status.tier.is_none());
    for status in concerned.filter(|status| !explained.contains(&status.slot)) {
        let Some(message) = explanation(status) else { continue };
        slots.push(status.slot.clone());
        if !said.contains(&message) {
            note(&format!("{}: {message}", status.slot));
            said.push(message);
        }
    }
    explained.extend(slots);
}

/// What does not work here, why, and what to do about it.
pub(super) fn remarks(status: &[Status]) -> Vec<String> {
    let lacking = status.iter().filter(|status| status.tier.is_none());
    lacking.filter_map(|status| Some(format!("{}: {}", status.slot, explanation(status)?))).collect()
}

fn explanation(status: &Status) -> Option<String> {
    let remedy = status.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
    Some(format!("{}{remedy}", status.reason.as_ref()?))
}

/// What becomes of a snapshot.
enum Sink<'c> {
    View { viewing: &'c Viewing, model: Box<Model>, naming: Naming, output: Output },
    Record(Recorder<Box<dyn Write>>),
}

impl<'c> Sink<'c> {
    fn new(job: &'c Job, scope: Option<u32>) -> Result<Self, Failure> {
        Ok(match job {
            Job::View(viewing) => Self::view(viewing, scope),
            Job::Record(file) => Self::Record(Recorder::begin(create(file)?)?),
            Job::Run(running) => Self::view(&running.viewing, scope),
            Job::Capture(_) | Job::Iperf(_) | Job::Selftest(_) => {
                return Err(Failure::Failed("this command makes no series of reports".to_owned()));
            }
        })
    }

    fn view(viewing: &'c Viewing, scope: Option<u32>) -> Self {
        Self::View {
            viewing,
            model: Box::new(Model::new(viewing.selection.within(scope), Retention::default())),
            naming: Naming::default(),
            output: Output::new(viewing.output.clone()),
        }
    }

    /// What is to be written to standard output.
    async fn take(&mut self, snapshot: Snapshot, is_only: bool) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        match self {
            Self::View { viewing, model, naming, output } => {
                model.advance(snapshot);
                match (viewing.options.names, is_only) {
                    (true, true) => naming.look_up_once(model).await,
                    (true, false) => naming.look_up(model),
                    (false, _) => {}
                }
                output.write(&mut bytes, &viewing.view.report(model, &viewing.options))?;
            }
            Self::Record(recorder) => recorder.add(&snapshot)?,
        }
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
