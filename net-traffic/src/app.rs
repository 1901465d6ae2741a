//! Wires the parts: source → model → view → output, at the pace that was asked for, until somebody stops it.

mod capture;
mod failure;
mod run;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::Parser;

use self::failure::Failure;
use crate::args::{Args, options_after_command};
use crate::config::{Config, Terminal};
use crate::output;

/// The whole program: from the command line to the exit status.
#[must_use]
pub fn main() -> ExitCode {
    let arguments = options_after_command(std::env::args_os().collect());
    let args = match Args::try_parse_from(arguments) {
        Ok(args) => args,
        Err(error) => return failure::usage(&error),
    };
    match Config::new(&args, terminal()).map_err(Failure::from).and_then(|config| run::run(&config)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What standard output and the environment say about how to write.
fn terminal() -> Terminal {
    let is_terminal = std::io::stdout().is_terminal();
    Terminal {
        width: is_terminal.then(output::terminal_width).flatten(),
        no_color: std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()),
    }
}
