//! A program that runs beside what is measured: started until it works, its CPU time, and its end.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// When a program that was started does its work.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ready {
    /// Once it has printed a line.
    FirstLine,
    /// After so long: it does not say.
    After(Duration),
}

/// It ends when this is dropped.
pub(super) struct Running {
    program: Child,
    /// Takes what it prints, once it works.
    reader: Option<Child>,
}

impl Running {
    pub(super) fn start(mut command: Command, ready: Ready) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let program = command.spawn().with_context(|| format!("start {name}"))?;
        let mut running = Self { program, reader: None };
        let stdout = running.program.stdout.take().with_context(|| format!("read from {name}"))?;
        let mut stdout = BufReader::new(stdout);
        if let Ready::FirstLine = ready {
            let mut line = String::new();
            stdout.read_line(&mut line).with_context(|| format!("read from {name}"))?;
            ensure!(!line.is_empty(), "{name} ended before its first report");
        }
        running.reader = Some(discard(stdout.into_inner())?);
        if let Ready::After(time) = ready {
            sleep(time);
        }
        running.ensure_alive()?;
        Ok(running)
    }

    /// User and system time of all its threads, also those that have ended.
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let clock =
            clock_getcpuclockid(Pid::from_raw(self.program.id().try_into()?)).context("find its clock")?;
        Ok(clock_gettime(clock).context("read its CPU time")?.into())
    }

    pub(super) fn resident_kib(&self) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find VmRSS")?;
        Ok(line.split_whitespace().next().context("read VmRSS")?.parse()?)
    }

    pub(super) fn ensure_alive(&mut self) -> Result<()> {
        let status = self.program.try_wait().context("ask whether it runs")?;
        ensure!(status.is_none(), "it ended by itself: {status:?}");
        Ok(())
    }

    /// The kernel detaches what the process held.
    fn end(&mut self) -> Result<()> {
        self.program.kill().context("end it")?;
        self.program.wait().context("wait for its end")?;
        if let Some(reader) = &mut self.reader {
            reader.wait().context("wait for the end of its reader")?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("a program of the benchmark: {error:#}");
        }
    }
}

/// Nobody wants what a program prints, but it must not wait for a reader. That is no thread, because what is measured may
/// be in this process, and each system call on a descriptor costs a process more that has two.
fn discard(printed: ChildStdout) -> Result<Child> {
    Command::new("cat").stdin(printed).stdout(Stdio::null()).spawn().context("start a reader")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn it_runs_from_its_first_report_until_it_is_stopped() {
        let mut running = Running::start(shell("echo report; exec sleep 60"), Ready::FirstLine).unwrap();
        running.ensure_alive().unwrap();
    }

    #[test]
    fn what_reports_nothing_is_an_error() {
        let error = Running::start(shell("exit 1"), Ready::FirstLine).err().unwrap().to_string();
        assert_eq!(error, "sh ended before its first report");
    }

    #[test]
    fn what_does_not_stay_is_an_error() {
        assert!(Running::start(shell("exit 0"), Ready::After(Duration::from_millis(500))).is_err());
    }

    #[test]
    fn its_cpu_time_is_counted() {
        let busy = Running::start(shell("while :; do :; done"), Ready::After(Duration::from_millis(200)));
        assert!(busy.unwrap().cpu_time().unwrap() > Duration::from_millis(5));
    }
}
