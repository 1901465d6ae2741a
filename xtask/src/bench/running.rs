//! A program that runs beside what is measured: started until it works, its CPU time, and its end.

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
    /// Takes what it prints, if nobody wants it.
    discard: Option<Child>,
}

/// The last line that a program printed.
pub(super) struct Latest(Arc<Mutex<String>>);

impl Latest {
    /// What it says, as JSON.
    pub(super) fn read(&self) -> Result<serde_json::Value> {
        let line = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        serde_json::from_str(&line).context("read a report")
    }

    fn take(&self, line: &mut String) {
        std::mem::swap(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner), line);
        line.clear();
    }
}

/// What a program prints.
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

    /// Nobody wants the rest, but the program must not wait for a reader. That is no thread, because what is measured may be
    /// in this process, and each system call on a descriptor costs a process more that has two.
    fn discard(self) -> Result<Child> {
        let mut cat = Command::new("cat");
        cat.stdin(self.pipe.into_inner()).stdout(Stdio::null()).spawn().context("start a reader")
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

    /// The same for a program that reports line by line, of which the last is kept.
    pub(super) fn reporting(command: Command) -> Result<(Self, Latest)> {
        let (running, mut stdout) = Self::spawn(command)?;
        let mut line = stdout.first_line()?;
        let latest = Latest(Arc::default());
        let kept = Latest(Arc::clone(&latest.0));
        kept.take(&mut line);
        thread::spawn(move || {
            // What is cut off when the program is ended is no line.
            while stdout.pipe.read_line(&mut line).is_ok() && line.ends_with('\n') {
                kept.take(&mut line);
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

    /// Waits until it ends by itself, as it must: well.
    pub(super) fn finish(&mut self) -> Result<()> {
        let status = self.program.wait().context("wait for its end")?;
        ensure!(status.success(), "it ended with {status}");
        Ok(())
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
        if let Some(reader) = &mut self.discard {
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
    fn the_last_line_is_kept() {
        let script = "echo 1; echo 2; echo 3";
        let (mut running, latest) = Running::reporting(shell(script)).unwrap();
        running.finish().unwrap();
        // It is read by a thread of its own.
        let began = Instant::now();
        while latest.read().unwrap() != 3 {
            assert!(began.elapsed() < Duration::from_secs(10), "{}", latest.read().unwrap());
            thread::yield_now();
        }
    }

    #[test]
    fn its_cpu_time_is_counted() {
        let busy = Running::start(shell("while :; do :; done"), Ready::After(Duration::from_millis(200)));
        assert!(busy.unwrap().cpu_time().unwrap() > Duration::from_millis(5));
    }
}
