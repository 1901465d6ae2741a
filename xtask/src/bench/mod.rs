//! `cargo xtask bench`: what net-traffic costs, each figure against something else measured in the same minutes.

mod cable;
mod capture;
mod churn;
mod iperf;
mod link;
mod nothing;
mod paired;
mod pingpong;
mod readout;
mod running;
mod sockets;
mod startup;
mod top;

use std::{
    env,
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::process::{self, target_dir};

pub(crate) use sockets::{Args as SocketsArgs, hold as hold_sockets};

/// Tells the process that it runs inside the namespace made for the benchmark.
const INSIDE: &str = "NET_TRAFFIC_BENCH_INSIDE";

/// One benchmark: a line here and a file beside.
struct Benchmark {
    name: &'static str,
    /// Prints its figures; `pairs` is how often both sides run.
    run: fn(pairs: usize) -> Result<()>,
    /// How many pairs it takes to tell.
    pairs: usize,
}

const BENCHMARKS: [Benchmark; 12] = [
    Benchmark { name: "startup", run: startup::run, pairs: 80 },
    Benchmark { name: "pingpong", run: pingpong::run, pairs: 80 },
    Benchmark { name: "readout", run: readout::run, pairs: 1 },
    Benchmark { name: "capture-small", run: capture::small, pairs: 12 },
    Benchmark { name: "capture-long", run: capture::long, pairs: 12 },
    Benchmark { name: "capture-rejecting", run: capture::rejecting, pairs: 80 },
    Benchmark { name: "churn", run: churn::run, pairs: 10 },
    Benchmark { name: "iperf-stream", run: iperf::one_stream, pairs: 80 },
    Benchmark { name: "iperf-streams", run: iperf::four_streams, pairs: 80 },
    Benchmark { name: "iperf-udp", run: iperf::datagrams, pairs: 80 },
    Benchmark { name: "top-udp", run: top::udp, pairs: 100 },
    Benchmark { name: "top-tcp", run: top::tcp, pairs: 100 },
];

/// Measure: `startup` (against ss), `pingpong` (what the tracer adds to a 64-byte exchange, and what programs that do nothing add), `readout` (what it
/// costs to read 20 000 sockets once a second), `capture` (`capture-small` and `capture-long` against tcpdump and
/// dumpcap, `capture-rejecting` with a filter that wants nothing, with processes and without), `churn` (whether memory grows and totals are right
/// while a thousand connections and processes a second come and go, for ten minutes), `iperf` (all of `iperf-stream`, `iperf-streams` and `iperf-udp`, against
/// iperf3) or `top` (what it costs a busy link, against nethogs, iftop and bandwhich: `top-udp` and `top-tcp`); without
/// a name, all.
#[derive(clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
    /// How many pairs of blocks a figure is made of; of `churn`, how many minutes it lasts.
    #[arg(long, alias = "minutes")]
    pairs: Option<usize>,
    /// First install the programs to compare with (apt and cargo; as root).
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen: Vec<_> = BENCHMARKS.iter().filter(|benchmark| benchmark.is(args.name.as_deref())).collect();
    if chosen.is_empty() {
        let names = BENCHMARKS.map(|benchmark| benchmark.name);
        bail!("no such benchmark; there are {}", names.join(", "));
    }
    if env::var_os(INSIDE).is_none() {
        if args.install {
            top::install()?;
        }
        process::run(process::cargo().args(["build", "--release", "--locked", "--package=net-traffic"]))?;
        return in_own_namespace();
    }
    process::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    for benchmark in chosen {
        let pairs = args.pairs.unwrap_or(benchmark.pairs);
        (benchmark.run)(pairs).with_context(|| format!("run the benchmark {}", benchmark.name))?;
    }
    Ok(())
}

impl Benchmark {
    /// Whether the name means it: its own, that of what it is a part of, or none.
    fn is(&self, name: Option<&str>) -> bool {
        let part_of =
            |name| self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        name.is_none_or(part_of)
    }
}

/// Starts this same command anew where it has the network for itself; the namespace ends with it.
fn in_own_namespace() -> Result<()> {
    let own = env::current_exe().context("find the chores' own program")?;
    process::run(Command::new("unshare").arg("--net").arg(own).args(env::args_os().skip(1)).env(INSIDE, "1"))
}

/// The release build of the program under test.
fn net_traffic() -> PathBuf {
    target_dir().join("release/net-traffic")
}

fn silent(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
