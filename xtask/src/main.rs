//! The project's chores, one file each; this one only dispatches.
#![expect(clippy::print_stderr, reason = "chores talk to whoever runs them")]

mod build_ebpf;
mod clippy_ebpf;
mod process;
mod toolchain;

use anyhow::Result;
use clap::Parser;

/// The project's own chores.
#[derive(Parser)]
enum Command {
    BuildEbpf(build_ebpf::Args),
    ClippyEbpf(clippy_ebpf::Args),
}

fn main() -> Result<()> {
    match Command::parse() {
        Command::BuildEbpf(args) => build_ebpf::run(&args),
        Command::ClippyEbpf(args) => clippy_ebpf::run(&args),
    }
}
