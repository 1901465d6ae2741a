//! Measures the throughput that `net-traffic top` costs a busy link, and compares it with nethogs, iftop and bandwhich.
//!
//! The link carries streams of 64-byte messages at the highest rate of two CPUs.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};

use super::{
    link::{INTERFACE, Link, MESSAGE, Stream},
    net_traffic,
    paired::{Arm, Outcome, Plan, compare, estimate},
    running::{Ready, Running},
};
use crate::{apt, process};

/// net-traffic on and off: short blocks, so that both see the same other load.
const BLOCK: Duration = Duration::from_millis(50);
/// Comparison of tools: long enough for the work that a tool does once a second.
const LONG_BLOCK: Duration = Duration::from_secs(1);
/// One round with all tools per this many pairs.
const PAIRS_PER_ROUND: usize = 16;
/// Caches, socket buffers and the congestion window are steady by then.
const WARM_UP: Duration = Duration::from_millis(50);
/// The start or end of a tool is complete by then, also within the kernel.
const SETTLE: Duration = Duration::from_millis(300);
/// A tool's first reports are done by then. They cost more, because the tools search /proc for owners of older sockets.
const FIRST_REPORTS: Duration = Duration::from_millis(2500);
/// The other tools print nothing when they are ready.
const START_TIME: Duration = Duration::from_millis(700);
const NULL_TOLERANCE: f64 = 0.02;

/// net-traffic must be the first: the other rates are divided by its rate.
const TOOLS: [Tool; 4] = [
    Tool { name: "net-traffic", command: top, ready: Ready::FirstLine },
    Tool { name: "nethogs", command: nethogs, ready: Ready::After(START_TIME) },
    Tool { name: "iftop", command: iftop, ready: Ready::After(START_TIME) },
    Tool { name: "bandwhich", command: bandwhich, ready: Ready::After(START_TIME) },
];

struct Tool {
    name: &'static str,
    command: fn() -> Command,
    ready: Ready,
}

/// The figures of all tools, one entry per round.
#[derive(Default)]
struct Rounds {
    /// Messages per second.
    rates: Vec<[f64; TOOLS.len()]>,
    /// CPU time of each tool's process over all rounds.
    cpu: [Duration; TOOLS.len()],
}

/// Installs the tools that are missing.
pub(super) fn install() -> Result<()> {
    apt::install(&["nethogs", "iftop", "libpcap0.8"])?;
    if bandwhich_path().exists() {
        return Ok(());
    }
    let tools = process::target_dir().join("tools");
    process::run(process::cargo().args(["install", "--locked", "bandwhich", "--root"]).arg(tools))
}

pub(super) fn udp(pairs: usize) -> Result<()> {
    run(Stream::Udp, pairs)
}

pub(super) fn tcp(pairs: usize) -> Result<()> {
    run(Stream::Tcp, pairs)
}

#[expect(clippy::print_stdout, reason = "the figures")]
fn run(stream: Stream, pairs: usize) -> Result<()> {
    ensure!(bandwhich_path().exists(), "bandwhich is missing: run `cargo xtask bench top --install`");
    let mut link = Link::new()?;
    let outcome = on_and_off(&mut link, stream, pairs)?;
    let mut rounds = Rounds::default();
    for round in 0..pairs.div_ceil(PAIRS_PER_ROUND) {
        rounds.run(&mut link, stream, round % 2 == 1)?;
    }
    println!(
        "top, {stream:?} of {MESSAGE} bytes: {:.0} messages/s on, {:.0} off, ratio {}, null {}",
        outcome.subject, outcome.base, outcome.ratio, outcome.null
    );
    rounds.print();
    outcome.trusted()?;
    Ok(())
}

/// Messages per second with and without net-traffic.
fn on_and_off(link: &mut Link, stream: Stream, pairs: usize) -> Result<Outcome> {
    let mut running = None;
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |arm| {
        if arm == Arm::Base {
            if running.take().is_some() {
                sleep(SETTLE);
            }
        } else if running.is_none() {
            running = Some(Running::start(top(), Ready::FirstLine)?);
            sleep(SETTLE);
        }
        link.block(stream, WARM_UP)?;
        link.block(stream, BLOCK)
    })
}

impl Rounds {
    /// Runs each tool once, in reverse order if `reversed`.
    fn run(&mut self, link: &mut Link, stream: Stream, reversed: bool) -> Result<()> {
        let mut order: Vec<usize> = (0..TOOLS.len()).collect();
        if reversed {
            order.reverse();
        }
        let mut rates = [0.0; TOOLS.len()];
        for at in order {
            let Tool { name, command, ready } = &TOOLS[at];
            let mut running = Running::start(command(), *ready)?;
            sleep(FIRST_REPORTS);
            link.block(stream, WARM_UP)?;
            let before = running.cpu_time()?;
            rates[at] = link.block(stream, LONG_BLOCK)?;
            self.cpu[at] += running.cpu_time()?.saturating_sub(before);
            running.ensure_alive().with_context(|| format!("measure with {name}"))?;
        }
        self.rates.push(rates);
        Ok(())
    }

    #[expect(clippy::print_stdout, reason = "the figures")]
    fn print(&self) {
        let seconds: f64 = self.rates.iter().map(|_| LONG_BLOCK.as_secs_f64()).sum();
        for (at, tool) in TOOLS.iter().enumerate() {
            let ratios: Vec<f64> = self.rates.iter().map(|rates| rates[at] / rates[0]).collect();
            println!(
                "  {:<12} throughput {} of that with net-traffic, CPU {:.2} % of a core",
                tool.name,
                estimate(&ratios),
                100.0 * self.cpu[at].as_secs_f64() / seconds,
            );
        }
    }
}

fn top() -> Command {
    command(net_traffic(), &["top", "--json"])
}

fn nethogs() -> Command {
    command("nethogs".into(), &["-t", "-C", INTERFACE])
}

fn iftop() -> Command {
    command("iftop".into(), &["-t", "-n", "-N", "-P", "-i", INTERFACE])
}

fn bandwhich() -> Command {
    command(bandwhich_path(), &["--raw", "--no-resolve", "--interface", INTERFACE])
}

fn bandwhich_path() -> PathBuf {
    process::target_dir().join("tools/bin/bandwhich")
}

fn command(program: PathBuf, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stderr(Stdio::null());
    command
}
