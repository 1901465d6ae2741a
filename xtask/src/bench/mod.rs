//! `cargo xtask bench`: measures the cost of net-traffic. Each figure compares blocks with net-traffic and blocks of a
//! base case, which alternate.

mod capture;
mod churn;
mod empty_programs;
mod far_namespace;
mod iperf;
mod link;
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

pub(crate) use sockets::{Args as SocketsArgs, hold_sockets};

/// The environment variable that marks the process in the benchmark's network namespace.
const IN_NAMESPACE_VAR: &str = "NET_TRAFFIC_BENCH_INSIDE";

/// One benchmark: a line in [`BENCHMARKS`] and a module.
struct Benchmark {
    name: &'static str,
    /// Runs `pairs` pairs of blocks and prints the figures.
    run: fn(pairs: usize) -> Result<()>,
    /// The default number of pairs.
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

/// Measure the cost of net-traffic
///
/// startup: time of one report, against ss
/// pingpong: added CPU time of a 64-byte exchange, with net-traffic's programs and with empty programs
/// readout: CPU and memory of reading 20 000 sockets once a second
/// capture-small, capture-long: capture into a file, against tcpdump and dumpcap
/// capture-rejecting: a capture whose filter rejects every packet, with and without process attribution
/// churn: memory and exact totals while 1000 processes and connections a second start and end
/// iperf-stream, iperf-streams, iperf-udp: throughput tests, against iperf3
/// top-udp, top-tcp: added cost on a busy link, against nethogs, iftop and bandwhich
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Args {
    /// The name of a benchmark, or its part before the hyphen (`iperf` selects three) [default: all].
    name: Option<String>,
    /// Pairs of blocks per figure; for churn, the duration in minutes.
    #[arg(long, alias = "minutes")]
    pairs: Option<usize>,
    /// Before the benchmark, install the programs to compare with (by apt and cargo; needs root).
    #[arg(long)]
    install: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let chosen: Vec<_> =
        BENCHMARKS.iter().filter(|benchmark| benchmark.matches(args.name.as_deref())).collect();
    if chosen.is_empty() {
        let names = BENCHMARKS.map(|benchmark| benchmark.name);
        bail!("no such benchmark; the benchmarks are {}", names.join(", "));
    }
    if env::var_os(IN_NAMESPACE_VAR).is_none() {
        if args.install {
            top::install()?;
        }
        process::run(process::cargo().args(["build", "--release", "--locked", "--package=net-traffic"]))?;
        return rerun_in_namespace();
    }
    process::run(Command::new("ip").args(["link", "set", "lo", "up"]))?;
    for benchmark in chosen {
        let pairs = args.pairs.unwrap_or(benchmark.pairs);
        (benchmark.run)(pairs).with_context(|| format!("run the benchmark {}", benchmark.name))?;
    }
    Ok(())
}

impl Benchmark {
    /// Whether `name` selects this benchmark: `iperf` selects each one that begins with `iperf-`, `None` selects all.
    fn matches(&self, name: Option<&str>) -> bool {
        let is_selected_by =
            |name| self.name.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
        name.is_none_or(is_selected_by)
    }
}

/// Runs the same command line again in a new network namespace. The namespace exists until the command ends.
fn rerun_in_namespace() -> Result<()> {
    let exe = env::current_exe().context("find the path of xtask")?;
    process::run(
        Command::new("unshare").arg("--net").arg(exe).args(env::args_os().skip(1)).env(IN_NAMESPACE_VAR, "1"),
    )
}

/// The path of the release build of net-traffic.
fn net_traffic() -> PathBuf {
    target_dir().join("release/net-traffic")
}

/// The command without input and with its output discarded.
fn silent(mut command: Command) -> Command {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}
