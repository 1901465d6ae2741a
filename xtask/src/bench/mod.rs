//! `cargo xtask bench`: what net-traffic costs, each figure against something else measured in the same minutes.

mod cable;
mod iperf;
mod paired;
mod pingpong;
mod readout;
mod sockets;
mod startup;

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
}

const BENCHMARKS: [Benchmark; 6] = [
    Benchmark { name: "startup", run: startup::run },
    Benchmark { name: "pingpong", run: pingpong::run },
    Benchmark { name: "readout", run: readout::run },
    Benchmark { name: "iperf-stream", run: iperf::one_stream },
    Benchmark { name: "iperf-streams", run: iperf::four_streams },
    Benchmark { name: "iperf-udp", run: iperf::datagrams },
];

/// Measure: `startup` (against ss), `pingpong` (what the tracer adds to a 64-byte exchange), `readout` (what it costs to
/// read 20 000 sockets once a second), `iperf` (all of `iperf-stream`, `iperf-streams` and `iperf-udp`, against iperf3);
/// without a name, all.
#[derive(clap::Args)]
pub(crate) struct Args {
    name: Option<String>,
    /// How many pairs of blocks a figure is made of.
    #[arg(long, default_value_t = 80)]
    pairs: usize,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen = |benchmark: &&Benchmark| {
        let names = |name: &str| name == benchmark.name || benchmark.name.starts_with(&format!("{name}-"));
        args.name.as_deref().is_none_or(names)
    };
    let chosen: Vec<_> = BENCHMARKS.iter().filter(chosen).collect();
    if chosen.is_empty() {
        let names = BENCHMARKS.map(|benchmark| benchmark.name);
        bail!("no such benchmark; there are {}", names.join(", "));
    }
    if env::var_os(INSIDE).is_none() {
        process::run(process::cargo().args(["build", "--release", "--locked", "--package=net-traffic"]))?;
        return in_own_namespace();
    }
    process::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    for benchmark in chosen {
        (benchmark.run)(args.pairs).with_context(|| format!("run the benchmark {}", benchmark.name))?;
    }
    Ok(())
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
