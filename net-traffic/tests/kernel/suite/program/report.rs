//! Starts the program and reads its reports.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Many times what a report takes.
const PATIENCE: Duration = Duration::from_mins(1);

/// The program, with these arguments.
pub(super) fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_net-traffic"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command under the program, and gives the report and the status.
pub(super) fn run(command: &[String]) -> Result<(Value, Option<i32>), Failed> {
    let output = program(&["run", "--json", "--"]).args(command).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).map_err(|error| {
        format!("{error}: no report in {text:?}; it said {:?}", String::from_utf8_lossy(&output.stderr))
    })?;
    Ok((report, output.status.code()))
}

/// `top`, one report after the other.
pub(super) struct Top {
    child: Child,
    lines: Receiver<String>,
}

impl Top {
    /// Counting has begun when this returns.
    pub(super) fn start(arguments: &[&str]) -> Result<Self, Failed> {
        let mut top = program(&["top", "--json", "-d", "0.2"]);
        top.args(arguments);
        Self::follow(top)
    }

    /// Likewise, for a command that prints reports.
    pub(super) fn follow(mut command: Command) -> Result<Self, Failed> {
        let mut child = command.spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let (send, lines) = channel();
        // Reports must not wait in the pipe: they would be old when they are read.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let top = Self { child, lines };
        top.next()?;
        Ok(top)
    }

    fn next(&self) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.lines.recv_timeout(PATIENCE)?)?)
    }

    /// A report of which every reading began after this call.
    pub(super) fn fresh(&mut self) -> Result<Value, Failed> {
        while self.lines.try_recv().is_ok() {}
        // This one may have begun before.
        self.next()?;
        self.next()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it as a user does.
    pub(super) fn stop(mut self) -> Result<ExitStatus, Failed> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        Ok(self.child.wait()?)
    }
}

/// The rows of a table for which this holds.
pub(super) fn rows(report: &Value, table: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let rows = report[table].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter(|row| wanted(row)).cloned().collect()
}

/// Received and sent, over all rows.
pub(super) fn bytes(rows: &[Value]) -> (u64, u64) {
    let sum = |key: &str| rows.iter().filter_map(|row| row[key].as_u64()).sum();
    (sum("rx_bytes"), sum("tx_bytes"))
}

/// Fails with both sides and the whole report.
pub(super) fn equal<T: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &T,
    expected: &T,
    report: &Value,
) -> Result<(), Failed> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{what}: {found:?} instead of {expected:?} in {report}").into())
}
