//! Throughput tests: this program at both ends against iperf3 at both ends, over loopback and over a cable.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{
    cable::{Cable, THERE},
    net_traffic,
    paired::{Plan, Side, compare},
};
use crate::apt;

/// What is tested, and which of the report's numbers is its rate.
struct Kind {
    name: &'static str,
    options: &'static [&'static str],
    rate: fn(&Value) -> Option<f64>,
    unit: &'static str,
    /// What one of the unit is in the rate's own.
    scale: f64,
}

const STREAM: Kind =
    Kind { name: "one TCP stream", options: &[], rate: received_bps, unit: "Gbit/s", scale: 1e9 };
const STREAMS: Kind =
    Kind { name: "four TCP streams", options: &["-P", "4"], rate: received_bps, unit: "Gbit/s", scale: 1e9 };
const DATAGRAMS: Kind = Kind {
    name: "UDP, 64 bytes, sent",
    options: &["-u", "-b", "0", "-l", "64"],
    rate: sent_per_second,
    unit: "packets/ms",
    scale: 1e3,
};
const ARRIVED: Kind = Kind { name: "UDP, 64 bytes, arrived", rate: arrived_per_second, ..DATAGRAMS };

/// A pair takes four tests of a second, and its neighbours take milliseconds.
const PAIRS_FOR_ONE: usize = 8;
/// Two programs on two processors: what the machine does besides weighs more than in a loop.
const NULL_TOLERANCE: f64 = 0.03;
const PORT: &str = "5201";
const PATIENCE: u32 = 500;
const PACE: Duration = Duration::from_millis(10);

pub(super) fn one_stream(pairs: usize) -> Result<()> {
    measure(&STREAM, pairs)
}

pub(super) fn four_streams(pairs: usize) -> Result<()> {
    measure(&STREAMS, pairs)
}

pub(super) fn datagrams(pairs: usize) -> Result<()> {
    // The second tells as much, also when the first is to be discarded.
    let outcomes = [&DATAGRAMS, &ARRIVED].map(|kind| measure(kind, pairs));
    outcomes.into_iter().collect()
}

fn measure(kind: &Kind, pairs: usize) -> Result<()> {
    apt::install(&["iperf3"])?;
    let cable = Cable::lay()?;
    let pairs = pairs.div_ceil(PAIRS_FOR_ONE);
    let paths = [("loopback", None), ("veth", Some(&cable))];
    // The second tells as much, also when the first is to be discarded.
    let outcomes = paths.map(|(path, far)| compare_on(kind, path, far, pairs));
    outcomes.into_iter().collect()
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn compare_on(kind: &Kind, path: &str, far: Option<&Cable>, pairs: usize) -> Result<()> {
    let plan = Plan { pairs, null_tolerance: NULL_TOLERANCE };
    let outcome = compare(&plan, |side| rate(kind, side, far))?;
    println!(
        "iperf, {}, {path}: net-traffic {:.2} {unit}, iperf3 {:.2} {unit}, ratio {}, null {}",
        kind.name,
        outcome.subject / kind.scale,
        outcome.base / kind.scale,
        outcome.ratio,
        outcome.null,
        unit = kind.unit,
    );
    outcome.trusted()?;
    Ok(())
}

/// One test of a second, with a server of its own: one that waits meanwhile would weigh on the other side's test.
fn rate(kind: &Kind, side: Side, far: Option<&Cable>) -> Result<f64> {
    let program = match side {
        Side::Base => "iperf3".into(),
        Side::Subject => net_traffic().into_os_string(),
    };
    let own: &[&str] = if side == Side::Subject { &["iperf"] } else { &[] };
    let mut server = far.map_or_else(|| Command::new(&program), |cable| cable.command(&program));
    let mut server = Server::start(server.args(own).args(["-s", "-1", "-p", PORT]))?;
    let host = if far.is_some() { THERE } else { "127.0.0.1" };
    let tested = Command::new(&program)
        .args(own)
        .args(["-c", host, "-p", PORT, "-t", "1", "-J"])
        .args(kind.options)
        .stderr(Stdio::inherit())
        .output()
        .context("start a test")?;
    ensure!(tested.status.success(), "the test ended with {}", tested.status);
    server.0.wait().context("wait for the server")?;
    let report = serde_json::from_slice(&tested.stdout).context("understand the test's report")?;
    (kind.rate)(&report).context("find the rate in the test's report")
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
        anyhow::bail!("the server does not listen")
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

fn received_bps(report: &Value) -> Option<f64> {
    report.pointer("/end/sum_received/bits_per_second")?.as_f64()
}

/// What iperf3 gives as the rate of a test with datagrams.
fn sent_per_second(report: &Value) -> Option<f64> {
    let sum = report.pointer("/end/sum")?;
    let number = |key: &str| sum.get(key)?.as_f64();
    Some(number("packets")? / number("seconds")?)
}

/// What was sent and lost was not carried.
fn arrived_per_second(report: &Value) -> Option<f64> {
    let sum = report.pointer("/end/sum")?;
    let number = |key: &str| sum.get(key)?.as_f64();
    Some((number("packets")? - number("lost_packets")?) / number("seconds")?)
}
