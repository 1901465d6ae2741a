//! Runs throughput tests: iperf3's protocol, which is riperf3's part, with its output turned into events.

use std::io;

use riperf3::{Client, ClientBuilder, ConfigError, RiperfError, Server, ServerBuilder, TransportProtocol};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::capture::{Capture, Outlets};
use super::door::Door;
use super::served::Told;
use super::{document, silence};
use crate::system::{SENDS_MANY, controls_congestion_by};
use crate::{Event, Family, Interval, IperfError, IperfOptions, Role, Test, size_of};

/// A test that was started, what it says, and where to say it.
#[derive(Debug)]
pub struct Started {
    pub iperf: Iperf,
    pub events: UnboundedReceiver<Event>,
    pub outlets: Outlets,
}

/// A test or a server that is running. What it says is in its events, which end when it does.
#[derive(Debug)]
pub struct Iperf {
    task: JoinHandle<Result<(), IperfError>>,
    interrupt: watch::Sender<Option<String>>,
    is_server: bool,
}

impl Iperf {
    /// Starts it on the current runtime, which must have several threads. Until its events end, what this process
    /// prints is taken for its output.
    ///
    /// # Errors
    /// When an option cannot be meant, or the output cannot be taken.
    pub fn start(options: &IperfOptions) -> Result<Started, IperfError> {
        let (interrupt, interrupted) = watch::channel(None);
        let peer = match &options.role {
            Role::Client(test) => {
                let client = Box::new(client(options, test)?.with_interrupt(interrupted));
                Peer::Client { client, port: options.port, congestion: test.congestion.clone() }
            }
            Role::Server { one_off } => {
                Peer::Server(Box::new(server(options, *one_off)?.with_interrupt(interrupted)), options.port)
            }
        };
        let is_server = matches!(peer, Peer::Server(..));
        let told = match &options.role {
            Role::Client(test) => Told::Server { after_time: test.bytes.is_none() },
            Role::Server { .. } => Told::Us,
        };
        let failed =
            |error: io::Error| IperfError::Failed(format!("failed to take the test's output: {error}"));
        let (capture, events) = Capture::begin(told).map_err(failed)?;
        let outlets = capture.outlets().map_err(failed)?;
        let task = tokio::spawn(run(peer, capture));
        Ok(Started { iperf: Self { task, interrupt, is_server }, events, outlets })
    }

    /// Has it end with a summary of what was moved until now.
    pub fn interrupt(&self) {
        let who = if self.is_server { "server" } else { "client" };
        let message = format!("interrupt - the {who} has terminated by signal Interrupt(2)");
        // Nobody is left to be interrupted: then it has ended.
        drop(self.interrupt.send(Some(message)));
    }

    /// Ends it without a summary, where an interrupt was of no avail.
    pub fn abandon(&self) {
        self.task.abort();
    }

    /// How it ended.
    ///
    /// # Errors
    /// When the test did not take place, or ended early.
    pub async fn outcome(self) -> Result<(), IperfError> {
        match self.task.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(IperfError::Failed(format!("the test broke off: {error}"))),
        }
    }
}

/// The JSON that stands for a test that did not come about.
#[must_use]
pub fn error_document(message: &str) -> String {
    document::in_our_name(&riperf3::json_report::error_document(message))
}

/// The most that a socket's buffer can be asked to be, as iperf3 has it.
const WINDOW: u64 = 512 << 20;

enum Peer {
    Client { client: Box<Client>, port: u16, congestion: Option<String> },
    Server(Box<Server>, u16),
}

async fn run(peer: Peer, capture: Capture) -> Result<(), IperfError> {
    let outcome = match peer {
        Peer::Client { client, port, congestion } => {
            // riperf3 tries, and goes on without.
            congestion
                .as_deref()
                .map_or(Ok(()), controls_congestion_by)
                .map_err(|error| IperfError::Failed(format!("unable to set TCP_CONGESTION: {error}")))?;
            let phase = capture.phase();
            tokio::select! {
                outcome = client.run() => outcome.map(drop).map_err(|error| explain(&error)),
                () = silence::of_server(port, &phase) => Err(IperfError::Failed(silence::MEANING.to_owned())),
            }
        }
        Peer::Server(server, port) => {
            let door = Door::new(port, capture.phase());
            tokio::select! {
                outcome = server.run() => outcome.map_err(|error| explain(&error)),
                () = door.keep() => Ok(()),
            }
        }
    };
    drop(capture);
    outcome
}

fn client(options: &IperfOptions, test: &Test) -> Result<Client, IperfError> {
    let Test { host, seconds, bytes, streams, reverse, bidirectional, .. } = test;
    let Test { udp, bitrate, interval, length, window, mss, congestion, .. } = test;
    let protocol = if *udp { TransportProtocol::Udp } else { TransportProtocol::Tcp };
    let mut builder = ClientBuilder::new(host)
        .port(Some(options.port))
        .protocol(protocol)
        .num_streams(*streams)
        .reverse(*reverse)
        .bidir(*bidirectional)
        // Many datagrams in one call, where the system has one for that; a server sends them one by one.
        .sendmmsg(*udp && SENDS_MANY)
        // A link that compresses would carry zeros for nothing.
        .repeating_payload(true)
        // As a stream of objects JSON tells when a test starts, too; the whole object follows.
        .json_stream(options.json)
        .json_stream_full_output(options.json);
    if let Some(window) = window.as_ref().filter(|window| size_of(window).is_some_and(|size| size > WINDOW)) {
        return Err(IperfError::Usage(format!("-w {window}: a socket buffer has at most 512M")));
    }
    builder = with(builder, "-t", seconds.as_ref(), |builder, seconds| Ok(builder.duration(*seconds)))?;
    builder = with(builder, "-n", bytes.as_deref(), ClientBuilder::bytes_str)?;
    builder = with(builder, "-b", bitrate.as_deref(), ClientBuilder::bandwidth_str)?;
    builder = with(builder, "-i", interval.as_ref(), |builder, Interval(ms)| {
        Ok(builder.interval(f64::from(*ms) / 1000.0))
    })?;
    builder = with(builder, "-l", length.as_deref(), ClientBuilder::blksize_str)?;
    builder = with(builder, "-w", window.as_deref(), ClientBuilder::window_str)?;
    builder = with(builder, "-M", mss.as_ref(), |builder, mss| Ok(builder.mss(*mss)))?;
    builder = with(builder, "-C", congestion.as_deref(), |builder, name| Ok(builder.congestion(name)))?;
    builder = with(builder, "-4 or -6", options.family.as_ref(), |builder, family| {
        Ok(builder.ip_version(version(*family)))
    })?;
    builder.build().map_err(|error| usage(&error))
}

fn server(options: &IperfOptions, one_off: bool) -> Result<Server, IperfError> {
    let mut builder = ServerBuilder::new()
        .port(Some(options.port))
        .one_off(one_off)
        .json_stream(options.json)
        .json_stream_full_output(options.json);
    if let Some(family) = options.family {
        builder = builder.ip_version(version(family));
    }
    builder.build().map_err(|error| usage(&error))
}

fn version(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 4,
        Family::Ipv6 => 6,
    }
}

/// Sets what was asked for; what cannot be meant is said of its option.
fn with<T: ?Sized>(
    builder: ClientBuilder,
    option: &str,
    value: Option<&T>,
    set: impl FnOnce(ClientBuilder, &T) -> Result<ClientBuilder, ConfigError>,
) -> Result<ClientBuilder, IperfError> {
    match value {
        Some(value) => set(builder, value).map_err(|error| IperfError::Usage(format!("{option}: {error}"))),
        None => Ok(builder),
    }
}

fn usage(error: &ConfigError) -> IperfError {
    IperfError::Usage(error.to_string())
}

/// In iperf3's words.
fn explain(error: &RiperfError) -> IperfError {
    let message = match error {
        RiperfError::Config(error) => return usage(error),
        RiperfError::AccessDenied => "the server is busy running a test. try again later".to_owned(),
        RiperfError::PeerDisconnected => "control socket has closed unexpectedly".to_owned(),
        RiperfError::Io(error) if is_end(error) => "control socket has closed unexpectedly".to_owned(),
        RiperfError::Protocol(what) if what.starts_with("unknown state byte") => {
            format!("{what}: {}", silence::MEANING)
        }
        RiperfError::Protocol(what) => what.clone(),
        error => error.to_string(),
    };
    IperfError::Failed(message)
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}
