//! Finds or installs the toolchain for the BPF target: a rustc with the standard library's source, and bpf-linker.
//!
//! The compiler and the source of `core` must have the same release. A rustup toolchain has the source if the component
//! `rust-src` is installed. Debian has the source as a package beside its own compiler. `RUSTC_BOOTSTRAP` makes each of
//! them accept the unstable flag `-Z build-std`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow, ensure};

use crate::{
    apt,
    process::{self, find_in_path, output, target_dir},
};

const DEBIAN_PACKAGES: [&str; 5] =
    ["rustc-web", "cargo-web", "rust-web-src", "rust-web-clippy", "llvm-22-dev"];
const LINKER_VERSION: &str = "0.13.0";
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// A compiler with the standard library's source, and bpf-linker.
pub(crate) struct Toolchain {
    /// The directory that contains `cargo`, `rustc` and `cargo-clippy`.
    bin: PathBuf,
    sysroot: PathBuf,
    linker: PathBuf,
    /// The releases of compiler, LLVM and linker, on one line: they decide the object's bytes.
    pub(crate) version: String,
}

impl Toolchain {
    /// Finds a toolchain. The order of preference: the version `preferred`, a nightly, any other.
    pub(crate) fn find(preferred: &str) -> Result<Self> {
        let linker =
            find_linker().context("find bpf-linker (`cargo xtask build-ebpf --install` builds it)")?;
        let mut found = Vec::new();
        for sysroot in with_library_source() {
            found.push(Self::new(&sysroot, &linker)?);
        }
        found.sort_by_key(|toolchain| {
            (toolchain.version != preferred, !toolchain.version.contains("nightly"))
        });
        found.into_iter().next().ok_or_else(|| {
            anyhow!(
                "no Rust toolchain has the standard library's source: `rustup component add rust-src`, \
                 or on Debian `cargo xtask build-ebpf --install`"
            )
        })
    }

    /// Installs Debian's compiler, source and LLVM, and builds bpf-linker. Skips the parts that exist.
    pub(crate) fn install() -> Result<()> {
        apt::install(&DEBIAN_PACKAGES)?;
        if find_linker().is_ok() {
            return Ok(());
        }
        process::run(
            process::cargo()
                .env("LLVM_PREFIX", LLVM_PREFIX)
                .args(["install", "bpf-linker", "--version", LINKER_VERSION, "--locked"])
                .args(["--no-default-features", "--features", "llvm-22", "--root"])
                .arg(target_dir().join("tools")),
        )
    }

    /// A program of the toolchain (`cargo`, `cargo-clippy`), without the caller's Cargo and rustc variables.
    pub(crate) fn command(&self, program: &str) -> Result<Command> {
        let linker_dir = self.linker.parent().context("find the directory of bpf-linker")?;
        command(&self.bin, program, &[linker_dir])
    }

    /// The directory of the standard library's source.
    pub(crate) fn library_source(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib/src/rust")
    }

    /// An `objcopy` with BPF support: rustup's component `llvm-tools` has one, Debian's LLVM has one.
    pub(crate) fn objcopy(&self) -> Result<PathBuf> {
        let host = format!("lib/rustlib/{}-unknown-linux-gnu/bin", env::consts::ARCH);
        let dir = self.sysroot.join(host);
        let candidates = [
            dir.join("llvm-objcopy"),
            dir.join("rust-objcopy"),
            Path::new(LLVM_PREFIX).join("bin/llvm-objcopy"),
        ];
        let found = candidates.into_iter().find(|file| file.is_file());
        found
            .or_else(|| find_in_path("llvm-objcopy"))
            .context("find llvm-objcopy (Debian: package llvm-22-dev)")
    }

    fn new(sysroot: &Path, linker: &Path) -> Result<Self> {
        let bin = sysroot.join("bin");
        let rustc = output(Command::new(bin.join("rustc")).arg("-vV"))?;
        let field = |name: &str| rustc.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("?");
        let version = format!(
            "rustc {} {}, LLVM {}, {}",
            field("release: "),
            field("commit-hash: "),
            field("LLVM version: "),
            output(Command::new(linker).arg("--version"))?.trim(),
        );
        Ok(Self { bin, sysroot: sysroot.to_path_buf(), linker: linker.to_path_buf(), version })
    }
}

/// A program of the toolchain in `bin`. Its `PATH` begins with the directories `first`, then `bin`.
pub(crate) fn command(bin: &Path, program: &str, first: &[&Path]) -> Result<Command> {
    let inherited = env::var_os("PATH").unwrap_or_default();
    let dirs = first.iter().copied().chain([bin]).map(Path::to_path_buf);
    let path = env::join_paths(dirs.chain(env::split_paths(&inherited)))?;

    let mut command = Command::new(bin.join(program));
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let prefixes =
            ["CARGO_BUILD_", "CARGO_PROFILE_", "CARGO_TARGET_", "CARGO_UNSTABLE_", "RUST", "CARGO_ENCODED_"];
        if prefixes.iter().any(|prefix| name.starts_with(prefix)) && name != "RUSTUP_HOME" {
            command.env_remove(name.as_ref());
        }
    }
    command
        .current_dir(process::root())
        .env("PATH", path)
        .env("CARGO", bin.join("cargo"))
        .env("RUSTC", bin.join("rustc"))
        .env("RUSTC_BOOTSTRAP", "1");
    Ok(command)
}

/// The sysroots that contain the standard library's source, in no order of preference.
pub(crate) fn with_library_source() -> Vec<PathBuf> {
    let mut sysroots = sysroots();
    sysroots.retain(|sysroot| sysroot.join("lib/rustlib/src/rust/library/core").is_dir());
    sysroots
}

/// Every rustup toolchain, then `/usr`.
fn sysroots() -> Vec<PathBuf> {
    let home = env::var_os("RUSTUP_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".rustup")));
    let toolchains = home.and_then(|home| fs::read_dir(home.join("toolchains")).ok());
    let mut sysroots: Vec<_> =
        toolchains.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    sysroots.sort();
    sysroots.push("/usr".into());
    sysroots
}

fn find_linker() -> Result<PathBuf> {
    let own = target_dir().join("tools/bin/bpf-linker");
    if own.is_file() {
        return Ok(own);
    }
    let linker = find_in_path("bpf-linker").context("no bpf-linker in PATH")?;
    ensure!(linker.is_absolute(), "bpf-linker in PATH is {}: not an absolute path", linker.display());
    Ok(linker)
}
