//! `cargo xtask clippy-ebpf`: the lints for the kernel side, on its own target: on the host its panic handler meets std's.

use anyhow::Result;

use crate::{build_ebpf, process, toolchain::Toolchain};

pub(crate) fn run() -> Result<()> {
    let toolchain = Toolchain::find("")?;
    let mut clippy = build_ebpf::cargo(&toolchain, "cargo-clippy", "clippy")?;
    process::run(clippy.args(["--", "-D", "warnings"]))
}
