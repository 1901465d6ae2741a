//! Runs throughput tests with riperf3, and converts its output to events.

use std::io;

use riperf3::{Client, ClientBuilder, ConfigError, RiperfError, Server, ServerBuilder, TransportProtocol};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::capture::{Capture, Outlets};
use super::end_observer::EndObserver;
use super::server_guard::ServerGuard;
use super::{document, handshake};
use crate::system::{SENDS_MANY, controls_congestion_by};
use crate::{Event, Family, Interval, IperfError, IperfOptions, Role, Test, size_of};

/// A started test, its events, and the original standard streams.
#[derive(Debug)]
pub struct Started {
    pub iperf: Iperf,
    pub events: UnboundedReceiver<Event>,
    pub outlets: Outlets,
}

/// A running test or server. Its events end with it.
#[derive(Debug)]
pub struct Iperf {
    task: JoinHandle<Result<(), IperfError>>,
    interrupt: watch::Sender<Option<String>>,
    is_server: bool,
}

impl Iperf {
    /// Starts the test on the current runtime, which must have several threads. Until the events end, the standard output
    /// of this process counts as the test's.
    ///
    /// # Errors
    /// When an option is invalid, or the output cannot be redirected.
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
        let observer = match &options.role {
            Role::Client(test) => EndObserver::Remote { after_time: test.bytes.is_none() },
            Role::Server { .. } => EndObserver::Local,
        };
        let failed =
            |error: io::Error| IperfError::Failed(format!("failed to take the test's output: {error}"));
        let (capture, events) = Capture::begin(observer).map_err(failed)?;
        let outlets = capture.outlets().map_err(failed)?;
        let task = tokio::spawn(run(peer, capture));
        Ok(Started { iperf: Self { task, interrupt, is_server }, events, outlets })
    }

    /// Ends the test with a summary of the bytes so far.
    pub fn interrupt(&self) {
        let role = if self.is_server { "server" } else { "client" };
        let message = format!("interrupt - the {role} has terminated by signal Interrupt(2)");
        // Without a receiver the test has ended.
        drop(self.interrupt.send(Some(message)));
    }

    /// Ends the test without a summary, if an interrupt had no effect.
    pub fn abandon(&self) {
        self.task.abort();
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// When the test failed to start or ended early.
    pub async fn outcome(self) -> Result<(), IperfError> {
        match self.task.await {
            Ok(outcome) => outcome,
            Err(error) if error.is_cancelled() => Ok(()),
            Err(error) => Err(IperfError::Failed(format!("the test broke off: {error}"))),
        }
    }
}

/// The JSON document of a test that failed to start.
#[must_use]
pub fn error_document(message: &str) -> String {
    document::in_our_name(&riperf3::json_report::error_document(message))
}

/// The maximum socket buffer size of iperf3.
const MAX_WINDOW: u64 = 512 << 20;

enum Peer {
    Client { client: Box<Client>, port: u16, congestion: Option<String> },
    Server(Box<Server>, u16),
}

async fn run(peer: Peer, capture: Capture) -> Result<(), IperfError> {
    let outcome = match peer {
        Peer::Client { client, port, congestion } => {
            // riperf3 ignores a failure to set the algorithm.
            congestion
                .as_deref()
                .map_or(Ok(()), controls_congestion_by)
                .map_err(|error| IperfError::Failed(format!("unable to set TCP_CONGESTION: {error}")))?;
            let phase = capture.phase();
            tokio::select! {
                outcome = client.run() => outcome.map(drop).map_err(|error| explain(&error)),
                () = handshake::handshake_timeout(port, &phase) => Err(IperfError::Failed(handshake::MEANING.to_owned())),
            }
        }
        Peer::Server(server, port) => {
            let guard = ServerGuard::new(port, capture.phase());
            tokio::select! {
                outcome = server.run() => outcome.map_err(|error| explain(&error)),
                () = guard.run() => Ok(()),
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
        // sendmmsg(2) on systems that have it. A server of riperf3 sends datagrams one by one.
        .sendmmsg(*udp && SENDS_MANY)
        // Not zeros: some links compress.
        .repeating_payload(true)
        // The JSON stream has an event for the start of the test. The whole document follows at the end.
        .json_stream(options.json)
        .json_stream_full_output(options.json);
    if let Some(window) =
        window.as_ref().filter(|window| size_of(window).is_some_and(|size| size > MAX_WINDOW))
    {
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

/// Sets an option if it has a value. An error names the option.
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
            format!("{what}: {}", handshake::MEANING)
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
