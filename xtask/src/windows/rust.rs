//! The Rust toolchain for Windows targets. It compiles the standard library from source, as Debian has no compiled one.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, toolchain};

/// mingw-w64 links this target.
pub(super) const GNU: &str = "x86_64-pc-windows-gnu";
/// Only checked: linking needs Microsoft's libraries.
pub(super) const MSVC: &str = "x86_64-pc-windows-msvc";

pub(super) struct Rust {
    sysroot: PathBuf,
}

impl Rust {
    pub(super) fn find() -> Result<Self> {
        let sysroot = toolchain::with_library_source().into_iter().next();
        let missing =
            "find a Rust toolchain with the standard library's source (`cargo xtask windows --install`)";
        Ok(Self { sysroot: sysroot.context(missing)? })
    }

    /// The toolchain's Cargo, with a separate target directory.
    pub(super) fn cargo(&self, verb: &str, target: &str) -> Result<Command> {
        // `cargo clippy` looks for cargo-clippy in ~/.cargo/bin first, which belongs to another toolchain.
        let program = if verb == "clippy" { "cargo-clippy" } else { "cargo" };
        let mut command = toolchain::command(&self.sysroot.join("bin"), program, &[])?;
        command
            .arg(verb)
            .args(["-Z", "build-std=std,panic_unwind,test", "--target", target])
            .env("CARGO_TARGET_DIR", directory());
        Ok(command)
    }
}

/// The program that `cargo test` built.
pub(super) fn program() -> PathBuf {
    directory().join(GNU).join("debug/net-traffic.exe")
}

/// The target directory of the Windows builds, with the Wine prefix.
pub(super) fn directory() -> PathBuf {
    process::target_dir().join("windows")
}

/// The Wine prefix.
pub(super) fn prefix() -> PathBuf {
    directory().join("wine")
}

/// A file of this directory in the source tree.
pub(super) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/windows").join(name)
}
