//! Compares throughput tests: net-traffic at both ends with iperf3 at both ends, over loopback and over a veth pair.
//!
//! The rate of TCP streams is measured at the interface's counters, not taken from the programs' reports.

mod interleaved;
mod test;

use std::{fs, process::Command};

use anyhow::{Context, Result};

use self::{
    interleaved::InterleavedTests,
    test::{Cpus, Test},
};
use super::{
    far_namespace::{FAR_ADDRESS, FarNamespace, NEAR_INTERFACE},
    paired::{Arm, Outcome, Plan, alternate},
};
use crate::{apt, process};

/// Wider than for a single loop: a test is two processes on two CPUs.
const NULL_TOLERANCE: f64 = 0.03;
/// A UDP pair is two whole tests of one second, so UDP runs half as many pairs as TCP.
const TCP_PAIRS_PER_UDP_PAIR: usize = 2;

/// Client and server are pinned to one CPU each, so that the scheduler's placement does not change the figure.
pub(super) fn one_stream(pairs: usize) -> Result<()> {
    streams("one TCP stream", &[], Cpus::OneEach, pairs)
}

/// The scheduler places the processes, as in normal use: the number of threads per stream is part of the comparison.
pub(super) fn four_streams(pairs: usize) -> Result<()> {
    streams("four TCP streams", &["-P", "4"], Cpus::All, pairs)
}

pub(super) fn datagrams(pairs: usize) -> Result<()> {
    on_each_path(pairs.div_ceil(TCP_PAIRS_PER_UDP_PAIR), |path, plan| {
        let [sent, arrived] = alternate(plan, |arm| datagram_rates(arm, path))?;
        print_outcome("UDP, 64 bytes, sent", path, &sent, "packets/ms", 1e3);
        print_outcome("UDP, 64 bytes, arrived", path, &arrived, "packets/ms", 1e3);
        sent.trusted()?;
        arrived.trusted().map(drop)
    })
}

fn streams(name: &str, options: &[&str], cpus: Cpus, pairs: usize) -> Result<()> {
    on_each_path(pairs, |path, plan| {
        let mut tests = InterleavedTests::new(path, options, cpus);
        let [rate] = alternate(plan, |arm| Ok([tests.rate(arm)?]))?;
        print_outcome(name, path, &rate, "Gbit/s", 1e9);
        rate.trusted().map(drop)
    })
}

/// The path between client and server. Without a far namespace it is loopback.
struct Path {
    name: &'static str,
    interface: &'static str,
    host: &'static str,
    far: Option<FarNamespace>,
}

/// Runs the benchmark on loopback and on a veth pair. A discarded result on the first does not skip the second.
fn on_each_path(pairs: usize, run: impl Fn(&Path, &Plan) -> Result<()>) -> Result<()> {
    apt::install(&["iperf3"])?;
    let plan = Plan { pairs, null_tolerance: NULL_TOLERANCE };
    let paths = [
        Path { name: "loopback", interface: "lo", host: "127.0.0.1", far: None },
        Path {
            name: "veth",
            interface: NEAR_INTERFACE,
            host: FAR_ADDRESS,
            far: Some(FarNamespace::create()?),
        },
    ];
    // A stopped test is idle; its connections must keep their congestion window.
    // <https://man7.org/linux/man-pages/man7/tcp.7.html>
    let keep_window = ["-qw", "net.ipv4.tcp_slow_start_after_idle=0"];
    for path in &paths {
        process::run(path.far_command("sysctl").args(keep_window))?;
    }
    let outcomes = paths.each_ref().map(|path| run(path, &plan));
    outcomes.into_iter().collect()
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn print_outcome(name: &str, path: &Path, outcome: &Outcome, unit: &str, scale: f64) {
    println!(
        "iperf, {name}, {}: net-traffic {:.2} {unit}, iperf3 {:.2} {unit}, ratio {}, null {}",
        path.name,
        outcome.subject / scale,
        outcome.base / scale,
        outcome.ratio,
        outcome.null,
    );
}

/// Datagrams sent and datagrams received per second, from the test's report.
fn datagram_rates(arm: Arm, path: &Path) -> Result<[f64; 2]> {
    let options = ["-t", "1", "-u", "-b", "0", "-l", "64"];
    let report = Test::start(arm, path, &options, Cpus::OneEach)?.wait_report()?;
    let number = |key: &str| report.pointer("/end/sum")?.get(key)?.as_f64();
    let rates = || {
        let (packets, lost, seconds) = (number("packets")?, number("lost_packets")?, number("seconds")?);
        Some([packets / seconds, (packets - lost) / seconds])
    };
    rates().context("find the rates in the test's report")
}

impl Path {
    /// A command that runs at the server's end.
    fn far_command(&self, program: &str) -> Command {
        match &self.far {
            Some(far) => far.command(program),
            None => Command::new(program),
        }
    }

    /// The interface's transmitted bytes.
    fn tx_bytes(&self) -> Result<u64> {
        let table = fs::read_to_string("/proc/net/dev").context("read the interfaces' counters")?;
        let counters =
            |line: &str| Some(line.trim_start().strip_prefix(self.interface)?.strip_prefix(':')?.to_owned());
        let counters = table.lines().find_map(counters).context("find the interface")?;
        Ok(counters.split_whitespace().nth(8).context("find the counter")?.parse()?)
    }
}
