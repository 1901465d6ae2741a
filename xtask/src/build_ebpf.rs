//! `cargo xtask build-ebpf`: compiles the eBPF programs into the committed object. The build is reproducible.
//!
//! Stable Rust alone builds net-traffic, because the object is committed. `--check` compares the object with the source.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

use crate::{
    process::{self, root, target_dir},
    toolchain::Toolchain,
};

const OBJECT: &str = "net-traffic/crates/linux/bpf/net-traffic.bpf.o";
/// The releases of the compiler and linker that built the object. Other releases produce other bytes.
const VERSION: &str = "net-traffic/crates/linux/bpf/toolchain.txt";
const TARGET: &str = "bpfel-unknown-none";
/// v3 is the first instruction set with atomics that return a value (`XCHG`, `CMPXCHG`). Kernels accept them since 5.12.
/// <https://github.com/gregkh/linux/blob/v6.12.117/Documentation/bpf/standardization/instruction-set.rst#L699>
const CPU: &str = "v3";

/// Compile the eBPF programs into the committed object.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// Install the compiler and bpf-linker first (apt and cargo; as root).
    #[arg(long)]
    pub(crate) install: bool,
    /// Write nothing; fail if the committed object differs from a fresh build.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.install {
        Toolchain::install()?;
    }
    if args.check { check() } else { build_and_store() }
}

/// Fails if the committed object differs from a fresh build.
pub(crate) fn check() -> Result<()> {
    let recorded = recorded_version();
    let toolchain = Toolchain::find(&recorded)?;
    let built = fs::read(build(&toolchain)?)?;
    let committed = fs::read(root().join(OBJECT)).with_context(|| format!("read {OBJECT}"))?;
    if built == committed {
        eprintln!("{OBJECT} is up to date");
        return Ok(());
    }
    ensure!(
        recorded == toolchain.version,
        "{OBJECT} cannot be compared: it was built by {recorded}, this toolchain is {}; \
         rebuild it with `cargo xtask build-ebpf` and commit it",
        toolchain.version
    );
    bail!(
        "{OBJECT} is stale: the committed object has {} bytes, a fresh build has {} and they differ; \
         run `cargo xtask build-ebpf` and commit the result",
        committed.len(),
        built.len()
    );
}

/// `cargo` or `cargo-clippy` of the toolchain, with all arguments that the build and the lint have in common.
pub(crate) fn cargo(toolchain: &Toolchain, program: &str, verb: &str) -> Result<Command> {
    let mut command = toolchain.command(program)?;
    command
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain)?.join("\x1f"))
        .args([verb, "--locked", "--package=net-traffic-ebpf", "--profile=ebpf", "-Zbuild-std=core"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_dir().join("ebpf"));
    Ok(command)
}

fn build_and_store() -> Result<()> {
    let toolchain = Toolchain::find(&recorded_version())?;
    let built = build(&toolchain)?;
    let object = root().join(OBJECT);
    fs::create_dir_all(object.parent().unwrap_or(&object))?;
    fs::copy(built, &object).with_context(|| format!("write {OBJECT}"))?;
    fs::write(root().join(VERSION), format!("{}\n", toolchain.version))?;
    eprintln!("{OBJECT}: {} bytes, {}", fs::metadata(object)?.len(), toolchain.version);
    Ok(())
}

fn build(toolchain: &Toolchain) -> Result<PathBuf> {
    // `rustflags` lists the registry's source directories, so they must exist before the build.
    process::run(toolchain.command("cargo")?.args(["fetch", "--locked", "--quiet", "--target", TARGET]))?;
    process::run(&mut cargo(toolchain, "cargo", "build")?)?;
    let linked = target_dir().join("ebpf").join(TARGET).join("ebpf/net-traffic");
    let stripped = linked.with_extension("bpf.o");
    process::run(Command::new(toolchain.objcopy()?).arg("--strip-debug").args([&linked, &stripped]))?;
    Ok(stripped)
}

/// Flags that decide the object's bytes. `--remap-path-prefix` keeps the checkout's location out of the object.
fn rustflags(toolchain: &Toolchain) -> Result<Vec<String>> {
    let mut flags = vec![format!("-Ctarget-cpu={CPU}"), "-Clink-arg=--btf".into()];
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    remap(&root(), "/net-traffic");
    let source = toolchain.library_source();
    remap(&source, "/rust");
    remap(&source.canonicalize().context("find the standard library's source")?, "/rust");
    for registry in registries()? {
        remap(&registry, "/registry");
    }
    Ok(flags)
}

/// The unpacked sources of each registry. Cargo names each directory after the registry's URL and protocol.
fn registries() -> Result<Vec<PathBuf>> {
    let home = match env::var_os("CARGO_HOME") {
        Some(home) => root().join(home),
        None => env::home_dir().context("find the home directory")?.join(".cargo"),
    };
    let sources = home.join("registry/src");
    let Ok(entries) = fs::read_dir(&sources) else { return Ok(Vec::new()) };
    let mut found = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    found.sort();
    Ok(found)
}

fn recorded_version() -> String {
    fs::read_to_string(root().join(VERSION)).unwrap_or_default().trim().into()
}
