//! Runs a configuration: source → snapshot → model → view → report → output, at its pace, until it ends.

mod capture;
mod failure;
mod host_names;
mod iperf;
mod keys;
mod opening;
mod run;
mod screen;
mod selftest;
mod series;
mod stdout;
mod ticks;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use self::failure::Failure;
use crate::args::{Args, insert_default_subcommand};
use crate::config::{Config, Terminal};
use crate::source::system;

/// The whole program: from the command line to the exit status.
#[must_use]
pub(crate) fn main() -> ExitCode {
    system::init_process_accounting();
    // A worker of the self-test is this executable, too. It must fork before any thread starts.
    if let Some(status) = selftest::run_worker_if_requested() {
        return status;
    }
    let arguments = insert_default_subcommand(std::env::args_os().collect());
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return failure::usage(&error),
    };
    let status = Config::new(&args, terminal()).map_err(Failure::from).and_then(|config| match config {
        Config::View(config) => series::view(&config).map(|()| ExitCode::SUCCESS),
        Config::Record(config) => series::record(&config).map(|()| ExitCode::SUCCESS),
        Config::Run(config) => run::run(&config),
        Config::Capture(config) => capture::run(&config).map(|()| ExitCode::SUCCESS),
        Config::Iperf(config) => iperf::run(&config),
        Config::Selftest(config) => selftest::run(&config),
    });
    status.unwrap_or_else(|failure| failure.report())
}

fn terminal() -> Terminal {
    let is_terminal = std::io::stdout().is_terminal();
    Terminal {
        width: is_terminal.then(net_traffic_output::terminal_width).flatten(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}
