//! Throughput tests: this program at both ends against iperf3 at both ends, over loopback and over a cable.
//!
//! What is sent without a pace of its own is measured at the interface: no program measures itself.

mod standing;
mod test;

use std::{fs, process::Command};

use anyhow::{Context, Result};

use self::{
    standing::Standing,
    test::{Processors, Test},
};
use super::{
    cable::{Cable, NEAR, THERE},
    paired::{Outcome, Plan, Side, alternate},
};
use crate::{apt, process};

/// How far the null control may be off: two programs on two processors are not as steady as a loop.
const NULL_TOLERANCE: f64 = 0.03;
/// Such a pair takes two tests of a second, and its neighbours take milliseconds.
const PAIRS_FOR_ONE: usize = 2;

/// Each end has a processor for itself, so that where the scheduler puts the two does not decide.
pub(super) fn one_stream(pairs: usize) -> Result<()> {
    streams("one TCP stream", &[], Processors::OneEach, pairs)
}

/// Placed by the scheduler, as users run it: how many processors a program takes for its streams is its own affair, and
/// part of what it is good for.
pub(super) fn four_streams(pairs: usize) -> Result<()> {
    streams("four TCP streams", &["-P", "4"], Processors::All, pairs)
}

pub(super) fn datagrams(pairs: usize) -> Result<()> {
    on_each_path(pairs.div_ceil(PAIRS_FOR_ONE), |path, plan| {
        let [sent, arrived] = alternate(plan, |side| datagram_rates(side, path))?;
        tell("UDP, 64 bytes, sent", path, &sent, "packets/ms", 1e3);
        tell("UDP, 64 bytes, arrived", path, &arrived, "packets/ms", 1e3);
        sent.trusted()?;
        arrived.trusted().map(drop)
    })
}

fn streams(name: &str, options: &[&str], processors: Processors, pairs: usize) -> Result<()> {
    on_each_path(pairs, |path, plan| {
        let mut standing = Standing::new(path, options, processors);
        let [rate] = alternate(plan, |side| Ok([standing.rate(side)?]))?;
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
    let plan = Plan { pairs, null_tolerance: NULL_TOLERANCE };
    let paths = [
        Path { name: "loopback", interface: "lo", host: "127.0.0.1", cable: None },
        Path { name: "veth", interface: NEAR, host: THERE, cable: Some(Cable::lay()?) },
    ];
    // A connection that stood still goes on where it was.
    let keep = ["-qw", "net.ipv4.tcp_slow_start_after_idle=0"];
    for path in &paths {
        process::run(path.far("sysctl").args(keep))?;
    }
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

/// Datagrams that were sent in a second, and that arrived, by the test's report: what was sent and lost was not carried.
fn datagram_rates(side: Side, path: &Path) -> Result<[f64; 2]> {
    let options = ["-t", "1", "-u", "-b", "0", "-l", "64"];
    let report = Test::start(side, path, &options, Processors::OneEach)?.end()?;
    let number = |key: &str| report.pointer("/end/sum")?.get(key)?.as_f64();
    let rates = || {
        let (packets, lost, seconds) = (number("packets")?, number("lost_packets")?, number("seconds")?);
        Some([packets / seconds, (packets - lost) / seconds])
    };
    rates().context("find the rates in the test's report")
}

impl Path {
    /// To be started at the server's end.
    fn far(&self, program: &str) -> Command {
        match &self.cable {
            Some(cable) => cable.command(program),
            None => Command::new(program),
        }
    }

    /// Bytes that have left by the interface.
    fn sent(&self) -> Result<u64> {
        let table = fs::read_to_string("/proc/net/dev").context("read the interfaces' counters")?;
        let counters =
            |line: &str| Some(line.trim_start().strip_prefix(self.interface)?.strip_prefix(':')?.to_owned());
        let counters = table.lines().find_map(counters).context("find the interface")?;
        Ok(counters.split_whitespace().nth(8).context("find the counter")?.parse()?)
    }
}
