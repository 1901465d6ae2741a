//! `cargo xtask fuzz`: generated input for whatever reads input of others, until so many runs are done or one fails.
//!
//! The targets are in `fuzz/`, a workspace of its own with the layout of cargo-fuzz, and run under libFuzzer. The coverage
//! that guides it comes from LLVM's pass, which stable Rust can be asked for; there is no sanitizer.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo, root, target_dir};

/// Each reads another kind of input.
const TARGETS: [Target; 4] = [
    Target { name: "filter", longest: 512 },
    Target { name: "file", longest: 2048 },
    Target { name: "text", longest: 512 },
    Target { name: "record", longest: 512 },
];
const RUSTFLAGS: [&str; 8] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Cllvm-args=-simplifycfg-branch-fold-threshold=0",
    "-Ccodegen-units=1",
];
/// A run that takes longer, in seconds, counts as a hang; one that takes more memory, in MiB, as a leak.
const HANG: u32 = 10;
const MEMORY: u32 = 1024;
const HELD: &str = "268435456";

/// Feed generated input to the filter compiler, the reader of files, the packet printer and the ring's decoder.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// `filter`, `file`, `text`, `record`; all of them if none is named.
    targets: Vec<String>,
    /// Runs of each target.
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
    /// End a target after so many seconds, even if there were fewer runs.
    #[arg(long)]
    seconds: Option<u32>,
}

struct Target {
    name: &'static str,
    /// The most octets of one input.
    longest: u32,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for name in &args.targets {
        if TARGETS.iter().all(|target| target.name != name) {
            bail!("no target {name}: there are {}", TARGETS.map(|target| target.name).join(", "));
        }
    }
    let programs = build()?;
    for target in TARGETS {
        if args.targets.is_empty() || args.targets.iter().any(|name| name == target.name) {
            target.feed(&programs, args)?;
        }
    }
    Ok(())
}

/// Builds all targets; gives the directory that they are in.
fn build() -> Result<PathBuf> {
    // With the target named, what runs at build time is compiled without the flags.
    let triple = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let directory = target_dir().join("fuzz");
    process::run(
        cargo()
            .args(["build", "--release", "--manifest-path", "fuzz/Cargo.toml"])
            .args(["--target", &triple, "--target-dir"])
            .arg(&directory)
            .env("CARGO_ENCODED_RUSTFLAGS", RUSTFLAGS.join("\u{1f}")),
    )
    .context("build the targets (libFuzzer needs a C++ compiler)")?;
    Ok(directory.join(triple).join("release"))
}

impl Target {
    /// Runs it at the lowest priority. New inputs go below the target directory, what fails too.
    fn feed(&self, programs: &Path, args: &Args) -> Result<()> {
        let Self { name, longest } = self;
        let found = target_dir().join("fuzz/corpus").join(name);
        let failed = target_dir().join("fuzz/artifacts").join(name);
        for directory in [&found, &failed] {
            fs::create_dir_all(directory).with_context(|| format!("make {}", directory.display()))?;
        }
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(programs.join(name)).current_dir(root());
        // What one run gives back is kept for the next.
        command.envs([("MALLOC_TRIM_THRESHOLD_", HELD), ("MALLOC_MMAP_THRESHOLD_", HELD)]);
        command.arg(format!("-runs={}", args.runs));
        command.arg(format!("-max_total_time={}", args.seconds.unwrap_or(0)));
        command.args([format!("-max_len={longest}"), format!("-timeout={HANG}")]);
        command.args([format!("-rss_limit_mb={MEMORY}"), "-print_final_stats=1".to_owned()]);
        command.arg(format!("-artifact_prefix={}/", failed.display()));
        let words = format!("fuzz/{name}.dict");
        if root().join(&words).is_file() {
            command.arg(format!("-dict={words}"));
        }
        command.arg(found).arg(format!("fuzz/corpus/{name}"));
        process::run(&mut command)
            .with_context(|| format!("fuzz {name} (the input is in {})", failed.display()))
    }
}
