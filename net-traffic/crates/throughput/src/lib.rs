//! Throughput tests with the protocol of iperf3: options, events and errors.

mod capture;
mod columns;
mod document;
mod end_observer;
mod handshake;
mod labels;
mod lines;
mod run;
mod server_guard;
#[cfg_attr(target_os = "linux", path = "linux/mod.rs")]
#[cfg_attr(windows, path = "windows/mod.rs")]
mod system;

pub use self::capture::Outlets;
pub use self::run::{Iperf, Started, error_document};

/// The options of a test or a server. Sizes and rates are strings with iperf3's suffixes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IperfOptions {
    pub role: Role,
    pub port: u16,
    pub family: Option<Family>,
    /// Print iperf3's JSON instead of its text.
    pub json: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Client(Box<Test>),
    Server {
        /// End after one test.
        one_off: bool,
    },
}

/// The options of a client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Test {
    pub host: String,
    pub seconds: Option<u32>,
    pub bytes: Option<String>,
    pub streams: u32,
    pub reverse: bool,
    pub bidirectional: bool,
    pub udp: bool,
    pub bitrate: Option<String>,
    pub interval: Option<Interval>,
    pub length: Option<String>,
    pub window: Option<String>,
    pub mss: Option<i32>,
    pub congestion: Option<String>,
}

impl Test {
    /// The rate limit of each stream; `None` for no limit. UDP has a default limit.
    #[must_use]
    pub fn bits_per_second(&self) -> Option<u64> {
        match &self.bitrate {
            None => self.udp.then_some(UDP_DEFAULT),
            Some(rate) => rate_of(rate).filter(|bps| *bps > 0),
        }
    }
}

/// The default of iperf3.
const UDP_DEFAULT: u64 = 1 << 20;

/// `10M` or `2.5G/8`: decimal suffixes. The burst after the slash is ignored.
fn rate_of(text: &str) -> Option<u64> {
    number_of(text.split('/').next()?, 1000.0)
}

/// `64K` or `1.5M`: binary suffixes.
fn size_of(text: &str) -> Option<u64> {
    number_of(text, 1024.0)
}

fn number_of(text: &str, step: f64) -> Option<u64> {
    let (number, steps) = match text.char_indices().last()? {
        (at, 'k' | 'K') => (&text[..at], 1),
        (at, 'm' | 'M') => (&text[..at], 2),
        (at, 'g' | 'G') => (&text[..at], 3),
        (at, 't' | 'T') => (&text[..at], 4),
        _ => (text, 0),
    };
    let number = number.parse::<f64>().ok()? * step.powi(steps);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number, for a comparison")]
    (number >= 0.0).then_some(number as u64)
}

/// Milliseconds between two lines of the report; 0 for no lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Ipv4,
    Ipv6,
}

/// The events of a running test, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The streams are connected.
    Started,
    /// The transfer has ended. The summary follows.
    Stopped,
    /// A line of the report.
    Line(String),
    /// A JSON object of the report, without the final newline.
    Document(String),
    /// The datagrams of the whole test.
    Datagrams { lost: u64, sent: u64 },
    /// A line for standard error.
    Message(String),
    /// The report is complete. A server waits for the next test.
    Finished,
}

/// Why a test failed to start or ended early.
#[derive(Debug, thiserror::Error)]
pub enum IperfError {
    /// An option is invalid.
    #[error("{0}")]
    Usage(String),
    #[error("{0}")]
    Failed(String),
}
