//! `cargo xtask build-ebpf`: compiles the kernel side into the object that is committed, the same bytes each time.
//!
//! Users build with stable Rust alone because the object is committed; `--check` proves that it is what the source says.

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
/// Beside the object: what compiled it, because another release compiles to other bytes.
const VERSION: &str = "net-traffic/crates/linux/bpf/toolchain.txt";
const TARGET: &str = "bpfel-unknown-none";
/// v3 is the first with atomics that return a value (xchg, cmpxchg); kernels know it since 5.12.
const CPU: &str = "v3";

/// Compile the eBPF programs into net-traffic/crates/linux/bpf/.
#[derive(clap::Args, Default)]
pub(crate) struct Args {
    /// First install with apt and cargo what the build needs.
    #[arg(long)]
    pub(crate) install: bool,
    /// Only compare: fail if the committed object is not what the source compiles to.
    #[arg(long)]
    pub(crate) check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.install {
        Toolchain::install()?;
    }
    if args.check { check() } else { build_and_keep() }
}

/// Fails if the committed object is not what the source compiles to.
pub(crate) fn check() -> Result<()> {
    let recorded = recorded_version();
    let toolchain = Toolchain::find(&recorded)?;
    let built = fs::read(build(&toolchain)?)?;
    let committed = fs::read(root().join(OBJECT)).with_context(|| format!("read {OBJECT}"))?;
    if built == committed {
        eprintln!("{OBJECT} is what the source compiles to");
        return Ok(());
    }
    ensure!(
        recorded == toolchain.version,
        "{OBJECT} cannot be compared: it was built by {recorded}, here is {}; \
         build it anew with `cargo xtask build-ebpf` and commit it",
        toolchain.version
    );
    bail!(
        "{OBJECT} is stale: it has {} bytes, the source compiles to {} others; \
         run `cargo xtask build-ebpf` and commit the result",
        committed.len(),
        built.len()
    );
}

/// Cargo, or `cargo-clippy`, of that toolchain with everything but the verb's own arguments.
pub(crate) fn cargo(toolchain: &Toolchain, program: &str, verb: &str) -> Result<Command> {
    let mut command = toolchain.command(program)?;
    command
        .env("CARGO_ENCODED_RUSTFLAGS", rustflags(toolchain)?.join("\x1f"))
        .args([verb, "--locked", "--package=net-traffic-ebpf", "--profile=ebpf", "-Zbuild-std=core"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target_dir().join("ebpf"));
    Ok(command)
}

fn build_and_keep() -> Result<()> {
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
    // The flags name the directories of the sources, so these must be there first.
    process::run(toolchain.command("cargo")?.args(["fetch", "--locked", "--quiet", "--target", TARGET]))?;
    process::run(&mut cargo(toolchain, "cargo", "build")?)?;
    let linked = target_dir().join("ebpf").join(TARGET).join("ebpf/net-traffic");
    let stripped = linked.with_extension("bpf.o");
    process::run(Command::new(toolchain.objcopy()?).arg("--strip-debug").args([&linked, &stripped]))?;
    Ok(stripped)
}

/// What changes the bytes, and hides from them where the sources lie.
fn rustflags(toolchain: &Toolchain) -> Result<Vec<String>> {
    let mut flags = vec![format!("-Ctarget-cpu={CPU}"), "-Clink-arg=--btf".into()];
    let mut remap = |from: &Path, to: &str| {
        flags.push(format!("--remap-path-prefix={}={to}", from.display()));
    };
    remap(&root(), "/net-traffic");
    let source = toolchain.library_source();
    remap(&source, "/rust");
    remap(&source.canonicalize().context("find the library's source")?, "/rust");
    for registry in registries()? {
        remap(&registry, "/registry");
    }
    Ok(flags)
}

/// The unpacked sources of each registry; the directories' names tell how Cargo reached it.
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
