//! Parses the command line and maps errors to exit codes.

#![forbid(unsafe_code)]

mod app;
mod args;
mod config;
mod resolver;
mod source;

use std::process::ExitCode;

fn main() -> ExitCode {
    app::main()
}
