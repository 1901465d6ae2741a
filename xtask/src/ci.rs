//! `cargo xtask ci`: every check, in order, with the duration of each step. The first failure ends the run.

use std::{
    io::{BufRead, BufReader},
    process::Stdio,
};

use anyhow::{Context, Result, ensure};

use crate::{
    apt, build_ebpf, clippy_ebpf, deny, process,
    steps::{Step, Timings, WORKSPACE, clippy, fmt},
    toolchain::Toolchain,
    vm, windows,
};

/// Debian packages of the programs that the tests run, or compare net-traffic with.
const TEST_PACKAGES: [&str; 14] = [
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

/// The packages that other projects can depend on. Each must build from its packed files alone.
const PUBLISHED: [&str; 2] = ["pcap-filter", "pcap-io"];

/// The cheapest steps come first. The tests follow last, so that their results end the output.
const STEPS: [Step; 9] = [
    Step { name: "fmt", run: fmt },
    Step { name: "deny", run: deny::check },
    Step { name: "clippy", run: clippy },
    Step { name: "doc", run: doc },
    Step { name: "package", run: package },
    Step { name: "clippy-ebpf", run: clippy_ebpf::run },
    Step { name: "build-ebpf --check", run: build_ebpf::check },
    Step { name: "windows", run: windows::all },
    Step { name: "vm-test", run: vm::test_all_kernels },
];

/// Run every check: format, dependencies, lints, docs, the committed eBPF object, the tests on this host and on other kernels.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install the programs that the steps need first (apt and cargo; as root).
    #[arg(long)]
    install: bool,
}

#[expect(clippy::print_stdout, reason = "the results of the tests are the output")]
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut timings = Timings::default();
    if args.install {
        timings.run("install", install)?;
    }
    timings.run_all(&STEPS)?;
    let results = timings.run("test", test)?;
    timings.print();
    for line in results {
        println!("{line}");
    }
    Ok(())
}

fn install() -> Result<()> {
    Toolchain::install()?;
    deny::install()?;
    apt::install(&TEST_PACKAGES)?;
    windows::install()?;
    vm::install()
}

fn doc() -> Result<()> {
    process::run(
        process::cargo().arg("doc").args(WORKSPACE).arg("--no-deps").env("RUSTDOCFLAGS", "-D warnings"),
    )
}

/// Packs the published packages and builds them from the packed files. Cargo fails for a package that does not exist.
/// `--allow-dirty` lets the step run before a commit.
fn package() -> Result<()> {
    let packages = PUBLISHED.iter().flat_map(|package| ["--package", package]);
    process::run(process::cargo().args(["package", "--locked", "--allow-dirty"]).args(packages))
}

/// Runs all tests and returns the `test result` line of each test binary. `NET_TRAFFIC_NO_SKIP` makes a skipped test fail.
#[expect(clippy::print_stdout, reason = "prints the output of the tests")]
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
