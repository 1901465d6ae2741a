//! The project's chores, one file each; this one only dispatches.
#![expect(clippy::print_stderr, reason = "chores talk to whoever runs them")]
#![expect(clippy::disallowed_methods, reason = "chores say how long they took; no snapshot is involved")]

mod build_ebpf;
mod clippy_ebpf;
mod process;
mod toolchain;
mod vm;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// The project's own chores.
#[derive(Parser)]
enum Command {
    BuildEbpf(build_ebpf::Args),
    ClippyEbpf(clippy_ebpf::Args),
    VmTest(vm::TestArgs),
    VmRun(vm::RunArgs),
}

fn main() -> Result<ExitCode> {
    match Command::parse() {
        Command::BuildEbpf(args) => build_ebpf::run(&args)?,
        Command::ClippyEbpf(args) => clippy_ebpf::run(&args)?,
        Command::VmTest(args) => return vm::test(&args).map(ExitCode::from),
        Command::VmRun(args) => return vm::run(&args).map(ExitCode::from),
    }
    Ok(ExitCode::SUCCESS)
}
