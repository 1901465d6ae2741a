//! One report after the other, or one recorded snapshot after the other.

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::failure::{Failure, note};
use crate::config::{Config, Job, SourceConfig, Viewing};
use crate::model::{Model, Retention, Time};
use crate::output::Output;
use crate::snapshot::Snapshot;
use crate::source::{Live, Recorder, Replay, Source, Stop, exists};

/// Does what the configuration says, until it is done or somebody stops it.
pub(super) fn run(config: &Config) -> Result<(), Failure> {
    if let Job::Capture(capture) = &config.job {
        return super::capture::run(capture);
    }
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        let stop = Stop::listen().map_err(failed)?;
        follow(config, stop).await
    });
    // A writer that waits for a reader must not keep the program from ending.
    runtime.shutdown_background();
    result
}

async fn follow(config: &Config, mut stop: Stop) -> Result<(), Failure> {
    let mut source = open(config)?;
    let mut sink = Sink::new(&config.job)?;
    let mut ticks = Ticks::new(config);
    let mut reports = 0;
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
            explain(config, &snapshot);
        }
        let bytes = sink.take(snapshot)?;
        tokio::select! {
            () = stop.wait() => return Ok(()),
            written = write(bytes) => written?,
        }
        reports += 1;
    }
    Ok(())
}

/// Opens the source, after what the user named was looked for.
fn open(config: &Config) -> Result<Source, Failure> {
    match &config.source {
        SourceConfig::Replay(file) => {
            let replay = Replay::open(file).map_err(|error| Failure::replay(file, &error))?;
            Ok(Source::Replay(replay))
        }
        SourceConfig::Live(options) => {
            if let Job::View(viewing) = &config.job {
                let selection = &viewing.selection;
                // Another namespace has other interfaces; the first snapshot has them.
                let interfaces = if options.netns.is_none() { selection.interfaces.as_slice() } else { &[] };
                if let Some(name) = interfaces.iter().find(|name| exists::interface(name) == Some(false)) {
                    return Err(no_interface(name));
                }
                if let Some(pid) = selection.pids.iter().find(|pid| exists::process(**pid) == Some(false)) {
                    return Err(Failure::Usage(format!("--pid {pid}: there is no such process")));
                }
            }
            Ok(Source::Live(Live::open(options)?))
        }
    }
}

/// A recording, or another namespace, shows its interfaces only when it is read. If none could be read, that is not
/// the user's mistake.
fn check_interfaces(config: &Config, snapshot: &Snapshot) -> Result<(), Failure> {
    let Job::View(viewing) = &config.job else { return Ok(()) };
    if snapshot.interfaces.is_empty() {
        return Ok(());
    }
    let known = |name: &String| snapshot.interfaces.iter().any(|interface| interface.name == *name);
    match viewing.selection.interfaces.iter().find(|name| !known(name)) {
        Some(name) => Err(no_interface(name)),
        None => Ok(()),
    }
}

fn no_interface(name: &str) -> Failure {
    Failure::Usage(format!("-i {name}: there is no such interface"))
}

/// Says what is missing and how to get it; of a recording, nobody can change it any more.
fn explain(config: &Config, snapshot: &Snapshot) {
    let is_doctor = matches!(&config.job, Job::View(viewing) if viewing.view.name() == "doctor");
    if config.quiet || is_doctor || matches!(config.source, SourceConfig::Replay(_)) {
        return;
    }
    let mut said: Vec<String> = Vec::new();
    for status in snapshot.status.iter().filter(|status| config.verbose || status.tier.is_none()) {
        let Some(reason) = &status.reason else { continue };
        let remedy = status.remedy.as_ref().map_or_else(String::new, |remedy| format!("; {remedy}"));
        let message = format!("{reason}{remedy}");
        if !said.contains(&message) {
            note(&format!("{}: {message}", status.slot));
            said.push(message);
        }
    }
}

/// When the next snapshot is due.
struct Ticks {
    live: tokio::time::Interval,
    replay: ReplayPace,
    before: Option<(Time, Instant)>,
}

/// How fast a recording is shown.
enum ReplayPace {
    /// To a program: it has no patience to be spared.
    AtOnce,
    /// As it was recorded.
    Recorded,
    Every(Duration),
}

impl Ticks {
    fn new(config: &Config) -> Self {
        let mut live = interval(config.pace.interval);
        live.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let watched = io::stdout().is_terminal();
        let replay = match (watched, config.pace.chosen) {
            (false, _) => ReplayPace::AtOnce,
            (true, true) => ReplayPace::Every(config.pace.interval),
            (true, false) => ReplayPace::Recorded,
        };
        Self { live, replay, before: None }
    }

    /// Returns when it is time: for the next reading, or to show the recorded one of that time.
    async fn next(&mut self, recorded: Option<Time>) {
        let Some(at) = recorded else {
            self.live.tick().await;
            return;
        };
        if let Some((before, shown)) = self.before {
            let pause = match self.replay {
                ReplayPace::AtOnce => return,
                ReplayPace::Recorded => {
                    Duration::from_nanos(at.monotonic_ns.saturating_sub(before.monotonic_ns))
                }
                ReplayPace::Every(interval) => interval,
            };
            sleep(pause.saturating_sub(shown.elapsed())).await;
        }
        self.before = Some((at, Instant::now()));
    }
}

/// What becomes of a snapshot.
enum Sink<'c> {
    View { viewing: &'c Viewing, model: Box<Model>, output: Output },
    Record(Recorder<Box<dyn Write>>),
}

impl<'c> Sink<'c> {
    fn new(job: &'c Job) -> Result<Self, Failure> {
        Ok(match job {
            Job::View(viewing) => Self::View {
                viewing,
                model: Box::new(Model::new(viewing.selection.clone(), Retention::default())),
                output: Output::new(viewing.output.clone()),
            },
            Job::Record(file) => Self::Record(Recorder::begin(create(file)?)?),
            Job::Capture(_) => return Err(Failure::Failed("a capture gives no snapshots".to_owned())),
        })
    }

    /// What is to be written to standard output.
    fn take(&mut self, snapshot: Snapshot) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        match self {
            Self::View { viewing, model, output } => {
                model.advance(snapshot);
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

/// Writes on a thread of its own: a reader that does not read must not keep a signal from being noticed.
async fn write(bytes: Vec<u8>) -> Result<(), Failure> {
    if bytes.is_empty() {
        return Ok(());
    }
    let written = tokio::task::spawn_blocking(move || {
        let mut out = io::stdout().lock();
        out.write_all(&bytes)?;
        out.flush()
    });
    match written.await {
        Ok(written) => Ok(written?),
        Err(error) => Err(Failure::Failed(format!("failed to write: {error}"))),
    }
}
