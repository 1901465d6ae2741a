//! A throughput test, or a server for tests: what it says goes out as it comes.

mod progress;
mod watcher;

use std::io::{self, Write};
use std::num::NonZero;
use std::process::ExitCode;
use std::thread::available_parallelism;
use std::time::Duration;

use tokio::task::block_in_place;
use tokio::time::{Instant, interval, sleep_until};

use self::progress::Progress;
use self::watcher::Watcher;
use super::failure::Failure;
use crate::config::{Config, SourceConfig};
use crate::source::system::Stop;
use net_traffic_model::throughput::TestRequest;
use net_traffic_throughput::{
    Event, Iperf, IperfError, IperfOptions, Outlets, Role, Started, error_document,
};

/// How often the sockets are looked at while a test runs.
const PACE: Duration = Duration::from_millis(250);
/// So many processors are all busy with one stream: one sends, the other receives.
const FEW: usize = 2;
/// iperf3's own.
const DEFAULT_SECONDS: u32 = 10;
/// How long an interrupted test may take to say what it moved.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Runs until the test is over, or until somebody stops the server.
pub(super) fn run(config: &Config, options: &IperfOptions) -> Result<ExitCode, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let watcher = watcher(config, options)?;
    let workers = workers(options);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(workers).enable_all().build();
    let runtime = runtime.map_err(failed)?;
    let result = runtime.block_on(async {
        let stop = Stop::listen().map_err(failed)?;
        follow(Iperf::start(options)?, stop, options, config.quiet, watcher).await
    });
    // Streams of a test that was abandoned must not keep the program from ending.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

/// Threads that move data. One that has nothing to do wakes whenever a packet arrives: where there are but two
/// processors, it takes one from the test.
fn workers(options: &IperfOptions) -> usize {
    let processors = available_parallelism().map_or(1, NonZero::get);
    match &options.role {
        _ if processors > FEW => processors,
        Role::Client(test) => usize::try_from(test.streams).unwrap_or(1).clamp(1, processors),
        // How many streams will come is not known.
        Role::Server { .. } => 1,
    }
}

fn watcher(config: &Config, options: &IperfOptions) -> Result<Watcher, Failure> {
    let SourceConfig::Live(live) = &config.source else {
        return Err(Failure::Usage("a test needs this machine, not a recording".to_owned()));
    };
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
    let mut teller =
        Teller { outlets, told_document: false, json: options.json, watcher, progress: progress.flatten() };
    let mut looks = interval(PACE);
    let mut deadline = None;
    loop {
        let patience = async {
            match deadline {
                Some(deadline) => sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => block_in_place(|| teller.tell(event))?,
                None => break,
            },
            () = stop.wait() => {
                // Whoever asks twice does not want to hear it.
                if deadline.is_some() {
                    iperf.abandon();
                    break;
                }
                iperf.interrupt();
                deadline = Some(Instant::now() + LAST_WORDS);
            }
            _ = looks.tick(), if teller.watcher.is_watching() => block_in_place(|| teller.look())?,
            () = patience => {
                iperf.abandon();
                break;
            }
        }
    }
    teller.end()?;
    match iperf.outcome().await {
        Err(IperfError::Failed(message)) if options.json => {
            if !teller.told_document {
                teller.tell(Event::Document(error_document(&message)))?;
            }
            Err(Failure::Told)
        }
        Err(IperfError::Failed(message)) => Err(Failure::Failed(message)),
        outcome => Ok(outcome?),
    }
}

/// How long the client was told to send; a server is told nothing.
fn duration(options: &IperfOptions) -> Option<Duration> {
    match &options.role {
        Role::Client(test) if test.bytes.is_none() => {
            Some(Duration::from_secs(test.seconds.unwrap_or(DEFAULT_SECONDS).into()))
        }
        _ => None,
    }
}

/// Writes what the test says.
struct Teller {
    outlets: Outlets,
    told_document: bool,
    json: bool,
    watcher: Watcher,
    progress: Option<Progress>,
}

impl Teller {
    fn look(&mut self) -> io::Result<()> {
        self.watcher.look();
        let Some(progress) = &mut self.progress else { return Ok(()) };
        if let Some((at_ns, bytes)) = self.watcher.moved() {
            progress.advance(at_ns, bytes);
        }
        progress.draw(&mut self.outlets.out)
    }

    fn end(&mut self) -> io::Result<()> {
        self.progress.as_mut().map_or(Ok(()), |progress| progress.end(&mut self.outlets.out))
    }

    fn tell(&mut self, event: Event) -> io::Result<()> {
        if let Some(progress) = &mut self.progress {
            progress.clear(&mut self.outlets.out)?;
        }
        match event {
            Event::Line(line) => writeln!(self.outlets.out, "{line}"),
            Event::Document(document) => {
                self.told_document = true;
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
                self.watcher.look();
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
