//! `cargo xtask fuzz`: runs libFuzzer on the parsers of untrusted input, until a run fails or the limit is reached.
//!
//! The targets are in `fuzz/`, a separate workspace with the layout of cargo-fuzz. LLVM's coverage pass guides libFuzzer;
//! stable Rust accepts the pass as a flag. No sanitizer is built in, because sanitizers need nightly Rust.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::process::{self, cargo, root, target_dir};

const TARGETS: [Target; 4] = [
    Target { name: "filter", max_len: 512 },
    Target { name: "file", max_len: 2048 },
    Target { name: "text", max_len: 512 },
    Target { name: "record", max_len: 512 },
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
/// A run that takes more seconds counts as a hang.
const RUN_TIMEOUT_S: u32 = 10;
/// A run that takes more memory counts as a leak.
const MEMORY_LIMIT_MIB: u32 = 1024;
/// glibc keeps freed memory up to this many bytes, so that the next run does not fault it in again.
const MALLOC_KEEP_BYTES: &str = "268435456";

/// Fuzz the filter compiler, the capture file reader, the packet printer and the ring buffer decoder.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Targets: filter, file, text, record [default: all]
    targets: Vec<String>,
    /// Runs per target.
    #[arg(long, default_value_t = 10_000_000)]
    runs: u64,
    /// Stop each target after this many seconds, even before --runs is reached.
    #[arg(long)]
    seconds: Option<u32>,
}

struct Target {
    name: &'static str,
    /// Maximum input size in bytes.
    max_len: u32,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    for name in &args.targets {
        if TARGETS.iter().all(|target| target.name != name) {
            bail!("no target {name}; the targets are {}", TARGETS.map(|target| target.name).join(", "));
        }
    }
    let programs = build()?;
    for target in TARGETS {
        if args.targets.is_empty() || args.targets.iter().any(|name| name == target.name) {
            target.fuzz(&programs, args)?;
        }
    }
    Ok(())
}

/// Builds all targets and returns their directory.
fn build() -> Result<PathBuf> {
    // With `--target`, Cargo applies the flags to the fuzz targets only, not to build scripts.
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
    /// Runs the target at the lowest priority. New inputs and failing inputs are written below `target/fuzz`.
    fn fuzz(&self, programs: &Path, args: &Args) -> Result<()> {
        let Self { name, max_len } = self;
        let found = target_dir().join("fuzz/corpus").join(name);
        let failed = target_dir().join("fuzz/artifacts").join(name);
        for directory in [&found, &failed] {
            fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
        }
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(programs.join(name)).current_dir(root());
        command.envs([
            ("MALLOC_TRIM_THRESHOLD_", MALLOC_KEEP_BYTES),
            ("MALLOC_MMAP_THRESHOLD_", MALLOC_KEEP_BYTES),
        ]);
        command.arg(format!("-runs={}", args.runs));
        command.arg(format!("-max_total_time={}", args.seconds.unwrap_or(0)));
        command.args([format!("-max_len={max_len}"), format!("-timeout={RUN_TIMEOUT_S}")]);
        command.args([format!("-rss_limit_mb={MEMORY_LIMIT_MIB}"), "-print_final_stats=1".to_owned()]);
        command.arg(format!("-artifact_prefix={}/", failed.display()));
        let words = format!("fuzz/{name}.dict");
        if root().join(&words).is_file() {
            command.arg(format!("-dict={words}"));
        }
        command.arg(found).arg(format!("fuzz/corpus/{name}"));
        process::run(&mut command)
            .with_context(|| format!("fuzz {name} (the failing input is in {})", failed.display()))
    }
}
