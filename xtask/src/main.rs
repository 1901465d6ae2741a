//! Development tasks, one module each. This file only dispatches.
#![expect(clippy::print_stderr, reason = "tasks print progress and errors on stderr")]
#![expect(clippy::disallowed_methods, reason = "tasks measure their own duration")]

mod apt;
mod bench;
mod build_ebpf;
mod check;
mod ci;
mod clippy_ebpf;
mod deny;
mod fuzz;
mod process;
mod screenshot;
mod steps;
mod tmux;
mod toolchain;
mod vm;
mod windows;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

/// Development tasks of net-traffic.
#[derive(Parser)]
enum Command {
    /// Check format and lints, and run the unit and view tests: without root, under two minutes once built.
    Check,
    BuildEbpf(build_ebpf::Args),
    /// Lint the eBPF programs for their own target; a warning is an error.
    ClippyEbpf,
    VmTest(vm::TestArgs),
    VmRun(vm::RunArgs),
    Windows(windows::Args),
    /// Check licenses, sources, bans and advisories of the dependencies with cargo-deny.
    Deny(deny::Args),
    Ci(ci::Args),
    Bench(bench::Args),
    Fuzz(fuzz::Args),
    Screenshot(screenshot::Args),
    #[command(hide = true)]
    BenchSockets(bench::SocketsArgs),
}

fn main() -> ExitCode {
    dispatch().unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::FAILURE
    })
}

/// `vm-test` and `vm-run` exit with the status of the program in the guest.
fn dispatch() -> Result<ExitCode> {
    match Command::parse() {
        Command::Check => check::run()?,
        Command::BuildEbpf(args) => build_ebpf::run(&args)?,
        Command::ClippyEbpf => clippy_ebpf::run()?,
        Command::Windows(args) => windows::run(&args)?,
        Command::Deny(args) => deny::run(&args)?,
        Command::Ci(args) => ci::run(&args)?,
        Command::Bench(args) => bench::run(&args)?,
        Command::Screenshot(args) => screenshot::run(&args)?,
        Command::Fuzz(args) => fuzz::run(&args)?,
        Command::BenchSockets(args) => bench::hold_sockets(&args)?,
        Command::VmTest(args) => return vm::test(&args).map(ExitCode::from),
        Command::VmRun(args) => return vm::run(&args).map(ExitCode::from),
    }
    Ok(ExitCode::SUCCESS)
}
