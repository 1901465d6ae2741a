//! Starts the program and reads its reports.

use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use net_traffic_testing::report::Top;
use serde_json::Value;

/// The program with these arguments.
pub(super) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_net-traffic"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command under `run`; returns the report and the exit status.
pub(super) fn run(command: &[String]) -> Result<(Value, Option<i32>), Failed> {
    let output = program(&["run", "--json", "--"]).args(command).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).map_err(|error| {
        let messages = String::from_utf8_lossy(&output.stderr);
        format!("{error}: no report in {text:?}; standard error: {messages:?}")
    })?;
    Ok((report, output.status.code()))
}

/// Starts `top`; returns after its first report, when it counts.
pub(super) fn top(arguments: &[&str]) -> Result<Top, Failed> {
    let mut command = program(&["top", "--json", "-d", "0.2"]);
    command.args(arguments);
    Top::follow(command)
}
