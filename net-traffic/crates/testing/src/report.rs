//! Reads the reports that the program writes as JSON, and compares numbers in them.

use std::fmt::Debug;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use libtest_mimic::Failed;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::patience;

/// `top --json`, one report after the other.
pub struct Top {
    child: Child,
    lines: Receiver<String>,
}

impl Top {
    /// Starts the command; returns after its first report, when it counts.
    ///
    /// # Errors
    /// When the command does not start, or writes no report.
    pub fn follow(mut command: Command) -> Result<Self, Failed> {
        let mut child = command.spawn()?;
        let output = BufReader::new(child.stdout.take().ok_or("no standard output")?);
        let (send, lines) = channel();
        // A report that waits in the pipe would be old when it is read.
        thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let top = Self { child, lines };
        top.next()?;
        Ok(top)
    }

    fn next(&self) -> Result<Value, Failed> {
        Ok(serde_json::from_str(&self.lines.recv_timeout(patience())?)?)
    }

    /// A report whose reading began after this call.
    ///
    /// # Errors
    /// When no report comes.
    pub fn fresh(&mut self) -> Result<Value, Failed> {
        while self.lines.try_recv().is_ok() {}
        // The reading of the next report may have begun before the call.
        self.next()?;
        self.next()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the program by SIGTERM.
    ///
    /// # Errors
    /// When the program has ended already.
    pub fn stop(mut self) -> Result<ExitStatus, Failed> {
        kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM)?;
        Ok(self.child.wait()?)
    }
}

/// The rows of a table that satisfy the condition.
pub fn rows(report: &Value, table: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let rows = report[table].as_array().map(Vec::as_slice).unwrap_or_default();
    rows.iter().filter(|row| wanted(row)).cloned().collect()
}

/// The received and the sent bytes of all rows.
pub fn bytes(rows: &[Value]) -> (u64, u64) {
    let sum = |key: &str| rows.iter().filter_map(|row| row[key].as_u64()).sum();
    (sum("rx_bytes"), sum("tx_bytes"))
}

/// Compares a number of the report with the expected one.
///
/// # Errors
/// With both values and the whole report.
pub fn equal<T: PartialEq + Debug>(
    name: &str,
    found: &T,
    expected: &T,
    report: &Value,
) -> Result<(), Failed> {
    if found == expected {
        return Ok(());
    }
    Err(format!("{name}: {found:?} instead of {expected:?} in {report}").into())
}
