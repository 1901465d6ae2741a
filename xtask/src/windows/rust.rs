//! A Rust that builds for Windows: one that has the library's source, since no built library is at hand.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{process, toolchain};

/// Linked by mingw.
pub(super) const GNU: &str = "x86_64-pc-windows-gnu";
/// Checked only: to link it takes Microsoft's own libraries.
pub(super) const MSVC: &str = "x86_64-pc-windows-msvc";

pub(super) struct Rust {
    sysroot: PathBuf,
}

impl Rust {
    pub(super) fn find() -> Result<Self> {
        let sysroot = toolchain::with_library_source().into_iter().next();
        let missing = "find a Rust toolchain with the library's source (`cargo xtask windows --install`)";
        Ok(Self { sysroot: sysroot.context(missing)? })
    }

    /// Cargo of that toolchain, with a target directory of its own.
    pub(super) fn cargo(&self, what: &str, target: &str) -> Result<Command> {
        // Cargo itself would look for others of its kind in the user's home first.
        let program = if what == "clippy" { "cargo-clippy" } else { "cargo" };
        let mut command = toolchain::command(&self.sysroot.join("bin"), program, &[])?;
        command
            .arg(what)
            .args(["-Z", "build-std=std,panic_unwind,test", "--target", target])
            .env("CARGO_TARGET_DIR", directory());
        Ok(command)
    }
}

/// The program, as the tests built it.
pub(super) fn program() -> PathBuf {
    directory().join(GNU).join("debug/net-traffic.exe")
}

/// Where everything of this chore lies.
pub(super) fn directory() -> PathBuf {
    process::target_dir().join("windows")
}

/// Where Wine keeps its Windows.
pub(super) fn prefix() -> PathBuf {
    directory().join("wine")
}

/// Where a part of the chore's own sources lies.
pub(super) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/windows").join(name)
}
