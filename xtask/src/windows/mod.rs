//! `cargo xtask windows`: cross-compiles net-traffic for Windows and runs its tests under Wine.
//!
//! Tests that need a real Windows are compiled and linted only.

mod rust;
mod screen;
mod wine;

use anyhow::Result;

use crate::{apt, process};
use rust::Rust;
use wine::Wine;

const PACKAGES: [&str; 9] = [
    "binutils-mingw-w64-x86-64",
    "gcc-mingw-w64-x86-64",
    "mingw-w64-x86-64-dev",
    "cargo-web",
    "rust-web-clippy",
    "rust-web-src",
    "rustc-web",
    "tmux",
    "wine64",
];

/// The test binaries that compile for Windows. `it` has its Linux tests behind `cfg`.
const TESTS: [&str; 2] = ["it", "windows"];

/// The packages that the program for Windows consists of.
const PACKAGES_UNDER_TEST: [&str; 11] = [
    "net-traffic",
    "net-traffic-capture",
    "net-traffic-model",
    "net-traffic-output",
    "net-traffic-packet-text",
    "net-traffic-snapshot",
    "net-traffic-throughput",
    "net-traffic-view",
    "net-traffic-windows",
    "pcap-filter",
    "pcap-io",
];

/// Build net-traffic for Windows, lint it and run its tests under Wine.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Install the cross compiler, Debian's Rust and Wine first (apt; as root).
    #[arg(long)]
    install: bool,
    /// Run only tests whose names contain this string.
    filter: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.install {
        install()?;
    }
    match &args.filter {
        None => all(),
        Some(filter) => test(&Rust::find()?, &Wine::prepare()?, Some(filter)),
    }
}

pub(crate) fn install() -> Result<()> {
    apt::install(&PACKAGES)
}

/// Runs the lints, the tests, the check of the full screen, and `cargo check` for the MSVC target.
pub(crate) fn all() -> Result<()> {
    let rust = Rust::find()?;
    let mut clippy = rust.cargo("clippy", rust::GNU)?;
    // The profile `test` includes the unit tests.
    let parts = ["--bins", "--profile", "test", "--", "-D", "warnings"];
    process::run(clippy.args(package_and_targets()).args(parts))?;
    let wine = Wine::prepare()?;
    test(&rust, &wine, None)?;
    screen::check(&wine, &rust::program())?;
    process::run(rust.cargo("check", rust::MSVC)?.args(["--package", "net-traffic"]))
}

fn test(rust: &Rust, wine: &Wine, filter: Option<&str>) -> Result<()> {
    let mut test = rust.cargo("test", rust::GNU)?;
    test.args(package_and_targets()).arg("--bins").env("NET_TRAFFIC_NO_SKIP", "1");
    wine.run_tests_of(&mut test);
    if let Some(filter) = filter {
        test.args(["--", filter]);
    }
    process::run(&mut test)
}

fn package_and_targets() -> Vec<&'static str> {
    let mut words = vec!["--locked", "--lib"];
    words.extend(PACKAGES_UNDER_TEST.iter().flat_map(|package| ["--package", package]));
    words.extend(TESTS.iter().flat_map(|test| ["--test", test]));
    words
}
