//! `cargo xtask ci`: everything that must hold, in order, each step with its duration; the first failure ends it.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use crate::{apt, build_ebpf, clippy_ebpf, process, toolchain::Toolchain, vm, windows};

const WORKSPACE: [&str; 3] = ["--locked", "--workspace", "--exclude=net-traffic-ebpf"];

/// What the tests compare with and run against: a Docker engine, tcpdump, tshark, iperf3, libpcap, tmux, nft, wg.
const PEERS: [&str; 14] = [
    "busybox-static",
    "curl",
    "docker.io",
    "iperf3",
    "iproute2",
    "iputils-ping",
    "iptables",
    "libpcap0.8",
    "nftables",
    "tcpdump",
    "tmux",
    "tshark",
    "wget",
    "wireguard-tools",
];

/// One step: a line in [`STEPS`].
struct Step {
    name: &'static str,
    run: fn() -> Result<()>,
}

/// The cheapest first; the tests last, so that what ends the output is theirs.
const STEPS: [Step; 7] = [
    Step { name: "fmt", run: fmt },
    Step { name: "clippy", run: clippy },
    Step { name: "doc", run: doc },
    Step { name: "clippy-ebpf", run: clippy_ebpf::run },
    Step { name: "build-ebpf --check", run: build_ebpf::check },
    Step { name: "windows", run: windows::all },
    Step { name: "vm-test", run: vm::test_all_kernels },
];

/// Everything that must hold: format, lints, docs, the committed object, tests here and on other kernels.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// First install what the steps need (apt and cargo; as root).
    #[arg(long)]
    install: bool,
}

#[expect(clippy::print_stdout, reason = "the steps and the tests' results are the output")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut durations = Vec::new();
    if args.install {
        durations.push(("install", timed("install", install)?.1));
    }
    for Step { name, run } in STEPS {
        durations.push((name, timed(name, run)?.1));
    }
    let (results, duration) = timed("test", test)?;
    durations.push(("test", duration));

    println!();
    for (name, duration) in durations {
        println!("{:>7.1} s  {name}", duration.as_secs_f64());
    }
    // Once more what `cargo test` said of each test binary, since it is what the run ends with.
    for line in results {
        println!("{line}");
    }
    Ok(())
}

fn install() -> Result<()> {
    Toolchain::install()?;
    apt::install(&PEERS)?;
    windows::install()?;
    vm::install()
}

fn fmt() -> Result<()> {
    process::run(process::cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    process::run(process::cargo().arg("clippy").args(WORKSPACE).args([
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

fn doc() -> Result<()> {
    process::run(
        process::cargo().arg("doc").args(WORKSPACE).arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Runs all tests, and returns the lines with which the test binaries closed. A skip that a test did not expect fails.
#[expect(clippy::print_stdout, reason = "passes on what the tests print")]
fn test() -> Result<Vec<String>> {
    let mut child = process::cargo()
        .arg("test")
        .args(WORKSPACE)
        .env("NET_TRAFFIC_NO_SKIP", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("start cargo test")?;
    let mut results = Vec::new();
    for line in BufReader::new(child.stdout.take().context("read from cargo test")?).lines() {
        let line = line.context("read from cargo test")?;
        println!("{line}");
        if line.starts_with("test result: ") {
            results.push(line);
        }
    }
    let status = child.wait().context("wait for cargo test")?;
    ensure!(status.success(), "cargo test ended with {status}");
    ensure!(!results.is_empty(), "cargo test ran no test binary");
    Ok(results)
}

/// Announces the step, runs it, and says how long it took; an error names the step.
#[expect(clippy::print_stdout, reason = "the steps are the output")]
fn timed<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<(T, Duration)> {
    println!("==== {name}");
    let began = Instant::now();
    let result = run().with_context(|| format!("{name} failed"))?;
    let duration = began.elapsed();
    println!("==== {name}: {:.1} s", duration.as_secs_f64());
    Ok((result, duration))
}
