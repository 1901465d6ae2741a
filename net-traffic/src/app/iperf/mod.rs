//! `iperf`: a throughput test or a server for tests. Its events are written as they arrive.

mod progress;
mod watch;

use std::io::{self, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, interval, sleep_until};

use self::progress::Progress;
use self::watch::Watcher;
use super::failure::Failure;
use crate::config::{IperfConfig, Verbosity};
use crate::source::system::Stop;
use net_traffic_model::throughput::TestRequest;
use net_traffic_throughput::{
    Event, Iperf, IperfError, IperfOptions, Outlets, Role, Started, error_document,
};

/// How often the sockets are read while a test runs.
const SAMPLE_INTERVAL: Duration = Duration::from_millis(250);
/// With so many processors, one stream keeps all of them busy: one sends, the other receives.
const FEW_PROCESSORS: usize = 2;
/// iperf3's own.
const DEFAULT_SECONDS: u32 = 10;
/// How long an interrupted test may take to write its summary.
const SUMMARY_TIMEOUT: Duration = Duration::from_secs(3);

/// Runs until the test ends or a signal stops the server.
pub(super) fn run(config: &IperfConfig) -> Result<ExitCode, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let options = &config.options;
    let watcher = watcher(config)?;
    let workers = workers(options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let result = runtime.block_on(async {
        let stop = Stop::listen().map_err(failed)?;
        follow(Iperf::start(options)?, stop, options, config.verbosity == Verbosity::Quiet, watcher).await
    });
    // A stream of an abandoned test may block; it must not delay the exit.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// The number of worker threads. An idle one wakes whenever a packet arrives, and with only two processors takes one
/// of them from the test.
fn workers(options: &IperfOptions) -> usize {
    let processors = available_parallelism().map_or(1, NonZero::get);
    match &options.role {
        _ if processors > FEW_PROCESSORS => processors,
        Role::Client(test) => usize::try_from(test.streams).unwrap_or(1).clamp(1, processors),
        Role::Server { .. } => 1,
    }
}

fn watcher(config: &IperfConfig) -> Result<Watcher, Failure> {
    let IperfConfig { options, live, .. } = config;
    let asked = match &options.role {
        Role::Client(test) => TestRequest { udp: test.udp, bps: test.bits_per_second(), datagrams: None },
        Role::Server { .. } => TestRequest::default(),
    };
    Ok(Watcher::open(live, options.port, asked)?)
}

async fn follow(
    started: Started,
    mut stop: Stop,
    options: &IperfOptions,
    quiet: bool,
    watcher: Watcher,
) -> Result<(), Failure> {
    let Started { iperf, mut events, outlets } = started;
    let progress = (!options.json && !quiet).then(|| Progress::for_terminal(&outlets.out, duration(options)));
    let mut reporter = Reporter {
        outlets,
        document_written: false,
        json: options.json,
        watcher,
        progress: progress.flatten(),
    };
    let mut samples = interval(SAMPLE_INTERVAL);
    let mut deadline = None;
    loop {
        let timeout = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => block_in_place(|| reporter.write(event))?,
                None => break,
            },
            () = stop.wait() => {
                // A second signal skips the summary.
                if deadline.is_some() {
                    iperf.abandon();
                    break;
                }
                iperf.interrupt();
                deadline = Some(Instant::now() + SUMMARY_TIMEOUT);
            }
            _ = samples.tick(), if reporter.watcher.is_watching() => block_in_place(|| reporter.sample())?,
            () = timeout => {
                iperf.abandon();
                break;
            }
        }
    }
    reporter.end()?;
    match iperf.outcome().await {
        Err(IperfError::Failed(message)) if options.json => {
            if !reporter.document_written {
                reporter.write(Event::Document(error_document(&message)))?;
            }
            Err(Failure::Reported)
        }
        Err(IperfError::Failed(message)) => Err(Failure::Failed(message)),
        outcome => Ok(outcome?),
    }
}

/// The duration that a client was given; a server has none.
fn duration(options: &IperfOptions) -> Option<Duration> {
    match &options.role {
        Role::Client(test) if test.bytes.is_none() => {
            Some(Duration::from_secs(test.seconds.unwrap_or(DEFAULT_SECONDS).into()))
        }
        _ => None,
    }
}

/// Writes the events of a test.
struct Reporter {
    outlets: Outlets,
    document_written: bool,
    json: bool,
    watcher: Watcher,
    progress: Option<Progress>,
}

impl Reporter {
    fn sample(&mut self) -> io::Result<()> {
        self.watcher.sample();
        let Some(progress) = &mut self.progress else { return Ok(()) };
        if let Some((at_ns, bytes)) = self.watcher.moved() {
            progress.add_sample(at_ns, bytes);
        }
        progress.draw(&mut self.outlets.out)
    }

    fn end(&mut self) -> io::Result<()> {
        self.progress.as_mut().map_or(Ok(()), |progress| progress.reset(&mut self.outlets.out))
    }

    fn write(&mut self, event: Event) -> io::Result<()> {
        if let Some(progress) = &mut self.progress {
            progress.clear(&mut self.outlets.out)?;
        }
        match event {
            Event::Line(line) => writeln!(self.outlets.out, "{line}"),
            Event::Document(document) => {
                self.document_written = true;
                match self.watcher.end(Some(&document)) {
                    Some(findings) => writeln!(self.outlets.out, "{}", findings.add_to(&document)),
                    None => writeln!(self.outlets.out, "{document}"),
                }
            }
            Event::Datagrams { lost, sent } => {
                self.watcher.report(lost, sent);
                Ok(())
            }
            Event::Message(message) => writeln!(self.outlets.err, "net-traffic: {message}"),
            Event::Started => {
                self.watcher.begin();
                Ok(())
            }
            Event::Stopped => {
                self.watcher.sample();
                self.watcher.pause();
                self.end()
            }
            Event::Finished => match self.watcher.end(None) {
                Some(findings) if !self.json => findings.write(&mut self.outlets.out),
                _ => Ok(()),
            },
        }
    }
}
