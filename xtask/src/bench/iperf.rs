//! Throughput tests: this program at both ends against iperf3 at both ends, over loopback and over a cable.
//!
//! Each program's client has one processor and its server the other, so that where the scheduler puts them does not
//! decide. Bytes are read from the interface while the streams run: no program measures itself.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::{
    cable::{Cable, NEAR, THERE},
    net_traffic,
    paired::{Outcome, Plan, Side, alternate},
};
use crate::apt;

/// How far the null control may be off: two programs on two processors are not as steady as a loop.
const NULL_TOLERANCE: f64 = 0.03;
/// A pair takes two tests of a second, and its neighbours take milliseconds.
const PAIRS_FOR_ONE: usize = 2;
const PORT: &str = "5201";
const PATIENCE: u32 = 500;
const PACE: Duration = Duration::from_millis(10);
/// The streams are well under way.
const BEGUN: u64 = 64 << 20;
/// Within the second that a test takes.
const WINDOW: Duration = Duration::from_millis(600);
const CLIENTS_PROCESSOR: &str = "0";
const SERVERS_PROCESSOR: &str = "1";

pub(super) fn one_stream(pairs: usize) -> Result<()> {
    streams("one TCP stream", &[], pairs)
}

pub(super) fn four_streams(pairs: usize) -> Result<()> {
    streams("four TCP streams", &["-P", "4"], pairs)
}

pub(super) fn datagrams(pairs: usize) -> Result<()> {
    on_each_path(pairs, |path, plan| {
        let [sent, arrived] = alternate(plan, |side| datagram_rates(side, path))?;
        tell("UDP, 64 bytes, sent", path, &sent, "packets/ms", 1e3);
        tell("UDP, 64 bytes, arrived", path, &arrived, "packets/ms", 1e3);
        sent.trusted()?;
        arrived.trusted().map(drop)
    })
}

fn streams(name: &str, options: &[&str], pairs: usize) -> Result<()> {
    on_each_path(pairs, |path, plan| {
        let [rate] = alternate(plan, |side| Ok([stream_rate(side, path, options)?]))?;
        tell(name, path, &rate, "Gbit/s", 1e9);
        rate.trusted().map(drop)
    })
}

/// Where both ends are.
struct Path {
    name: &'static str,
    interface: &'static str,
    host: &'static str,
    cable: Option<Cable>,
}

/// The second path tells as much, also when the first is to be discarded.
fn on_each_path(pairs: usize, run: impl Fn(&Path, &Plan) -> Result<()>) -> Result<()> {
    apt::install(&["iperf3"])?;
    let plan = Plan { pairs: pairs.div_ceil(PAIRS_FOR_ONE), null_tolerance: NULL_TOLERANCE };
    let paths = [
        Path { name: "loopback", interface: "lo", host: "127.0.0.1", cable: None },
        Path { name: "veth", interface: NEAR, host: THERE, cable: Some(Cable::lay()?) },
    ];
    let outcomes = paths.each_ref().map(|path| run(path, &plan));
    outcomes.into_iter().collect()
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn tell(name: &str, path: &Path, outcome: &Outcome, unit: &str, scale: f64) {
    println!(
        "iperf, {name}, {}: net-traffic {:.2} {unit}, iperf3 {:.2} {unit}, ratio {}, null {}",
        path.name,
        outcome.subject / scale,
        outcome.base / scale,
        outcome.ratio,
        outcome.null,
    );
}

/// Bits per second that left by the interface in the midst of a test.
fn stream_rate(side: Side, path: &Path, options: &[&str]) -> Result<f64> {
    let test = Test::start(side, path, options)?;
    let begin = path.sent()?;
    let (mut from, mut since) = (begin, Instant::now());
    for _ in 0..PATIENCE {
        if from >= begin + BEGUN {
            break;
        }
        sleep(PACE);
        (from, since) = (path.sent()?, Instant::now());
    }
    ensure!(from >= begin + BEGUN, "the test does not begin");
    sleep(WINDOW);
    let (to, until) = (path.sent()?, Instant::now());
    test.end()?;
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    Ok((to - from) as f64 * 8.0 / until.duration_since(since).as_secs_f64())
}

/// Datagrams that were sent in a second, and that arrived, by the test's report: what was sent and lost was not carried.
fn datagram_rates(side: Side, path: &Path) -> Result<[f64; 2]> {
    let report = Test::start(side, path, &["-u", "-b", "0", "-l", "64"])?.end()?;
    let number = |key: &str| report.pointer("/end/sum")?.get(key)?.as_f64();
    let rates = || {
        let (packets, lost, seconds) = (number("packets")?, number("lost_packets")?, number("seconds")?);
        Some([packets / seconds, (packets - lost) / seconds])
    };
    rates().context("find the rates in the test's report")
}

/// One test of a second, with a server of its own: one that waits meanwhile would weigh on the other side's test.
struct Test {
    server: Server,
    client: Child,
}

impl Test {
    fn start(side: Side, path: &Path, options: &[&str]) -> Result<Self> {
        let program = match side {
            Side::Base => "iperf3".into(),
            Side::Subject => net_traffic().into_os_string(),
        };
        let own: &[&str] = if side == Side::Subject { &["iperf"] } else { &[] };
        let mut server = match &path.cable {
            Some(cable) => cable.command("taskset"),
            None => Command::new("taskset"),
        };
        server.args(["-c", SERVERS_PROCESSOR]).arg(&program).args(own).args(["-s", "-1", "-p", PORT]);
        let server = Server::start(&mut server)?;
        let client = Command::new("taskset")
            .args(["-c", CLIENTS_PROCESSOR])
            .arg(&program)
            .args(own)
            .args(["-c", path.host, "-p", PORT, "-t", "1", "-J"])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("start a test")?;
        Ok(Self { server, client })
    }

    /// Waits for it, and gives its report.
    fn end(self) -> Result<Value> {
        let Self { mut server, client } = self;
        let tested = client.wait_with_output().context("wait for the test")?;
        ensure!(tested.status.success(), "the test ended with {}", tested.status);
        server.0.wait().context("wait for the server")?;
        serde_json::from_slice(&tested.stdout).context("understand the test's report")
    }
}

impl Path {
    /// Bytes that have left by the interface.
    fn sent(&self) -> Result<u64> {
        let table = fs::read_to_string("/proc/net/dev").context("read the interfaces' counters")?;
        let counters =
            |line: &str| Some(line.trim_start().strip_prefix(self.interface)?.strip_prefix(':')?.to_owned());
        let counters = table.lines().find_map(counters).context("find the interface")?;
        Ok(counters.split_whitespace().nth(8).context("find the counter")?.parse()?)
    }
}

/// Killed if it did not end with its one test.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("start a server")?;
        let server = Self(child);
        for _ in 0..PATIENCE {
            if server.listens() {
                return Ok(server);
            }
            sleep(PACE);
        }
        bail!("the server does not listen")
    }

    /// In its own namespace's tables; what it inherits there is not to be found before it is there.
    fn listens(&self) -> bool {
        let local = format!(":{:04X} ", PORT.parse::<u16>().unwrap_or_default());
        ["tcp", "tcp6"].iter().any(|table| {
            let text = fs::read_to_string(format!("/proc/{}/net/{table}", self.0.id())).unwrap_or_default();
            text.lines().any(|line| line.contains(&local) && line.contains(" 0A "))
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended where all went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
