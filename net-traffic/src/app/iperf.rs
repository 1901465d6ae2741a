//! A throughput test, or a server for tests: what it says goes out as it comes.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::failure::Failure;
use crate::config::Config;
use crate::source::Stop;
use crate::source::iperf::{Event, Iperf, IperfError, IperfOptions, Outlets, Started, error_document};

/// How long an interrupted test may take to say what it moved.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Runs until the test is over, or until somebody stops the server.
pub(super) fn run(_config: &Config, options: &IperfOptions) -> Result<ExitCode, Failure> {
    let failed = |error: io::Error| Failure::Failed(format!("failed to start: {error}"));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let result = runtime.block_on(async {
        let stop = Stop::listen().map_err(failed)?;
        follow(Iperf::start(options)?, stop, options).await
    });
    // Streams of a test that was abandoned must not keep the program from ending.
    runtime.shutdown_background();
    result.map(|()| ExitCode::SUCCESS)
}

async fn follow(started: Started, mut stop: Stop, options: &IperfOptions) -> Result<(), Failure> {
    let Started { iperf, mut events, outlets } = started;
    let mut teller = Teller { outlets, told_document: false };
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
                Some(event) => teller.tell(event)?,
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
            () = patience => {
                iperf.abandon();
                break;
            }
        }
    }
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

/// Writes what the test says.
struct Teller {
    outlets: Outlets,
    told_document: bool,
}

impl Teller {
    fn tell(&mut self, event: Event) -> io::Result<()> {
        match event {
            Event::Line(line) => writeln!(self.outlets.out, "{line}"),
            Event::Document(document) => {
                self.told_document = true;
                writeln!(self.outlets.out, "{document}")
            }
            Event::Message(message) => writeln!(self.outlets.err, "net-traffic: {message}"),
            Event::Started | Event::Stopped | Event::Finished => Ok(()),
        }
    }
}
