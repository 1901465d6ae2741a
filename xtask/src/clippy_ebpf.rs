//! `cargo xtask clippy-ebpf`: lints the eBPF programs for their own target.
//!
//! On the host target the crate's panic handler conflicts with the one in std.

use anyhow::Result;

use crate::{build_ebpf, process, toolchain::Toolchain};

pub(crate) fn run() -> Result<()> {
    let toolchain = Toolchain::find("")?;
    let mut clippy = build_ebpf::cargo(&toolchain, "cargo-clippy", "clippy")?;
    process::run(clippy.args(["--", "-D", "warnings"]))
}
