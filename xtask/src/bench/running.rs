//! Runs a program beside a measurement: waits until it is ready, reads its CPU time, ends it.

use std::{
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use nix::{
    time::{clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

/// The sign that a started program is ready.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ready {
    /// Its first line on stdout.
    FirstLine,
    /// A fixed time, for programs that print no sign.
    After(Duration),
}

/// A running program. Dropping it kills the program.
pub(super) struct Running {
    program: Child,
    /// Reads the program's output and discards it.
    discard: Option<Child>,
}

/// The last line that a program printed.
pub(super) struct LatestLine(Arc<Mutex<String>>);

impl LatestLine {
    /// Parses the line as JSON.
    pub(super) fn read(&self) -> Result<serde_json::Value> {
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_str(&line).context("read a report")
    }

    /// Stores the line and clears the argument.
    fn replace(&self, line: &mut String) {
        std::mem::swap(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), line);
        line.clear();
    }
}

/// The stdout of a program.
struct Output {
    name: String,
    pipe: BufReader<ChildStdout>,
}

impl Output {
    fn first_line(&mut self) -> Result<String> {
        let Self { name, pipe } = self;
        let mut line = String::new();
        pipe.read_line(&mut line).with_context(|| format!("read from {name}"))?;
        ensure!(!line.is_empty(), "{name} ended before its first report");
        Ok(line)
    }

    /// Reads the rest of the output, so that the program does not block on a full pipe. The reader is a process, not a thread:
    /// with a second thread, each system call on a file descriptor of this process would cost more, as `__fget_light` takes a
    /// reference on the file, and this process may run the measured code.
    /// <https://github.com/gregkh/linux/blob/v6.12.117/fs/file.c#L1122>
    fn discard(self) -> Result<Child> {
        let mut cat = Command::new("cat");
        cat.stdin(self.pipe.into_inner()).stdout(Stdio::null()).spawn().context("start cat")
    }
}

impl Running {
    pub(super) fn start(command: Command, ready: Ready) -> Result<Self> {
        let (mut running, mut stdout) = Self::spawn(command)?;
        if let Ready::FirstLine = ready {
            stdout.first_line()?;
        }
        running.discard = Some(stdout.discard()?);
        if let Ready::After(time) = ready {
            thread::sleep(time);
        }
        running.ensure_alive()?;
        Ok(running)
    }

    /// Starts a program that prints reports, one per line, and keeps the last line.
    pub(super) fn reporting(command: Command) -> Result<(Self, LatestLine)> {
        let (running, mut stdout) = Self::spawn(command)?;
        let mut line = stdout.first_line()?;
        let latest = LatestLine(Arc::default());
        let writer = LatestLine(Arc::clone(&latest.0));
        writer.replace(&mut line);
        thread::spawn(move || {
            // A killed program can leave an incomplete last line, which is discarded.
            while stdout.pipe.read_line(&mut line).is_ok() && line.ends_with('\n') {
                writer.replace(&mut line);
            }
        });
        Ok((running, latest))
    }

    fn spawn(mut command: Command) -> Result<(Self, Output)> {
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let program = command.spawn().with_context(|| format!("start {name}"))?;
        let mut running = Self { program, discard: None };
        let pipe = running.program.stdout.take().with_context(|| format!("read from {name}"))?;
        Ok((running, Output { name, pipe: BufReader::new(pipe) }))
    }

    /// Waits for the program's exit; any status but 0 is an error.
    pub(super) fn wait_success(&mut self) -> Result<()> {
        let status = self.program.wait().context("wait for the program")?;
        ensure!(status.success(), "the program ended with {status}");
        Ok(())
    }

    /// User and system time of all threads, including ended ones.
    /// <https://man7.org/linux/man-pages/man3/clock_getcpuclockid.3.html>
    pub(super) fn cpu_time(&self) -> Result<Duration> {
        let clock = clock_getcpuclockid(Pid::from_raw(self.program.id().try_into()?))
            .context("get the program's CPU clock")?;
        Ok(clock_gettime(clock).context("read the program's CPU time")?.into())
    }

    pub(super) fn resident_kib(&self) -> Result<u32> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.program.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find VmRSS")?;
        Ok(line.split_whitespace().next().context("read VmRSS")?.parse()?)
    }

    pub(super) fn ensure_alive(&mut self) -> Result<()> {
        let status = self.program.try_wait().context("poll the program")?;
        ensure!(status.is_none(), "the program ended early: {status:?}");
        Ok(())
    }

    /// Kills the program. The kernel detaches the eBPF programs of a process when it exits.
    fn end(&mut self) -> Result<()> {
        self.program.kill().context("kill the program")?;
        self.program.wait().context("wait for the program")?;
        if let Some(reader) = &mut self.discard {
            reader.wait().context("wait for the reader of its output")?;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.end() {
            eprintln!("end a program of the benchmark: {error:#}");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn started_program_runs_until_dropped() {
        let mut running = Running::start(shell("echo report; exec sleep 60"), Ready::FirstLine).unwrap();
        running.ensure_alive().unwrap();
    }

    #[test]
    fn program_without_output_is_an_error() {
        let error = Running::start(shell("exit 1"), Ready::FirstLine).err().unwrap().to_string();
        assert_eq!(error, "sh ended before its first report");
    }

    #[test]
    fn program_that_exits_early_is_an_error() {
        assert!(Running::start(shell("exit 0"), Ready::After(Duration::from_millis(500))).is_err());
    }

    #[test]
    fn last_line_is_kept() {
        let script = "echo 1; echo 2; echo 3";
        let (mut running, latest) = Running::reporting(shell(script)).unwrap();
        running.wait_success().unwrap();
        // A separate thread reads the lines.
        let began = Instant::now();
        while latest.read().unwrap() != 3 {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", latest.read().unwrap());
            thread::yield_now();
        }
    }

    #[test]
    fn busy_program_has_cpu_time() {
        let busy = Running::start(shell("while :; do :; done"), Ready::After(Duration::from_millis(200)));
        assert!(busy.unwrap().cpu_time().unwrap() > Duration::from_millis(5));
    }
}
