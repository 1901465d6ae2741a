//! What `net-traffic top` costs a busy link, against nethogs, iftop and bandwhich in the same minutes: streams of
//! 64-byte messages, as fast as two CPUs go.

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
    paired::{Outcome, Plan, Side, compare, estimate},
    running::{Ready, Running},
};
use crate::{apt, process};

/// Off against on, in short blocks that meet the same machine.
const BLOCK: Duration = Duration::from_millis(50);
/// Against the peers, long enough for what a tool does once a second.
const LONG_BLOCK: Duration = Duration::from_secs(1);
/// As many rounds with all tools as there are pairs, divided by this.
const PAIRS_A_ROUND: usize = 16;
/// Caches, the socket's buffers and the congestion window meet the tool before it counts.
const WARM_UP: Duration = Duration::from_millis(50);
/// What belongs to a tool's start or end, within the kernel too, is over.
const SETTLED: Duration = Duration::from_millis(300);
/// The same for what it does in its first reports only: who held sockets before it came is searched for.
const AT_HOME: Duration = Duration::from_millis(2500);
/// None of the peers says when it listens.
const PEERS_START: Duration = Duration::from_millis(700);
const NULL_TOLERANCE: f64 = 0.02;

/// Ours is the first.
const TOOLS: [Tool; 4] = [
    Tool { name: "net-traffic", command: top, ready: Ready::FirstLine },
    Tool { name: "nethogs", command: nethogs, ready: Ready::After(PEERS_START) },
    Tool { name: "iftop", command: iftop, ready: Ready::After(PEERS_START) },
    Tool { name: "bandwhich", command: bandwhich, ready: Ready::After(PEERS_START) },
];

struct Tool {
    name: &'static str,
    command: fn() -> Command,
    ready: Ready,
}

/// What all tools did, round by round.
#[derive(Default)]
struct Rounds {
    /// Messages a second.
    rates: Vec<[f64; TOOLS.len()]>,
    /// What their processes used in all.
    cpu: [Duration; TOOLS.len()],
}

/// Installs the peers that are not there yet.
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
    ensure!(bandwhich_path().exists(), "the peers are not installed: run with --install first");
    let mut link = Link::new()?;
    let outcome = on_and_off(&mut link, stream, pairs)?;
    let mut rounds = Rounds::default();
    for round in 0..pairs.div_ceil(PAIRS_A_ROUND) {
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

/// Messages a second with our tool and without.
fn on_and_off(link: &mut Link, stream: Stream, pairs: usize) -> Result<Outcome> {
    let mut running = None;
    compare(&Plan { pairs, null_tolerance: NULL_TOLERANCE }, |side| {
        if side == Side::Base {
            if running.take().is_some() {
                sleep(SETTLED);
            }
        } else if running.is_none() {
            running = Some(Running::start(top(), Ready::FirstLine)?);
            sleep(SETTLED);
        }
        link.block(stream, WARM_UP)?;
        link.block(stream, BLOCK)
    })
}

impl Rounds {
    /// Each tool in turn; every other round the other way round.
    fn run(&mut self, link: &mut Link, stream: Stream, reversed: bool) -> Result<()> {
        let mut order: Vec<usize> = (0..TOOLS.len()).collect();
        if reversed {
            order.reverse();
        }
        let mut rates = [0.0; TOOLS.len()];
        for at in order {
            let Tool { name, command, ready } = &TOOLS[at];
            let mut running = Running::start(command(), *ready)?;
            sleep(AT_HOME);
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
            let against_ours: Vec<f64> = self.rates.iter().map(|rates| rates[at] / rates[0]).collect();
            println!(
                "  {:<12} throughput {} of that with ours, CPU {:.2} % of a core",
                tool.name,
                estimate(&against_ours),
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
