//! Wires the parts: source → model → view → output, at the pace that was asked for, until somebody stops it.

mod capture;
mod command;
mod failure;
mod iperf;
mod keys;
mod names;
mod opening;
mod run;
mod screen;
mod selftest;
mod stdout;
mod ticks;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use self::failure::Failure;
use crate::args::{Args, options_after_command};
use crate::config::{Config, Job, Terminal};
use crate::source::system;

/// The whole program: from the command line to the exit status.
#[must_use]
pub(crate) fn main() -> ExitCode {
    system::init_process_accounting();
    // The self-test's processes are this program too; they start no thread.
    if let Some(status) = selftest::run_worker_if_requested() {
        return status;
    }
    let arguments = options_after_command(std::env::args_os().collect());
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return failure::usage(&error),
    };
    let done = Config::new(&args, terminal()).map_err(Failure::from).and_then(|config| match &config.job {
        Job::Run(running) => command::run(&config, running),
        Job::Capture(capture) => capture::run(capture).map(|()| ExitCode::SUCCESS),
        Job::Iperf(options) => iperf::run(&config, options),
        Job::Selftest(selftest) => selftest::run(&config, selftest),
        Job::View(_) | Job::Record(_) => run::run(&config).map(|()| ExitCode::SUCCESS),
    });
    done.unwrap_or_else(|failure| failure.report())
}

/// What standard output and the environment say about how to write.
fn terminal() -> Terminal {
    let is_terminal = std::io::stdout().is_terminal();
    Terminal {
        width: is_terminal.then(net_traffic_output::terminal_width).flatten(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}
