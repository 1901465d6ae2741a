//! A program that captures into a file: started, watched, ended.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    time::{ClockId, clock_getcpuclockid, clock_gettime},
    unistd::Pid,
};

use crate::bench::net_traffic;

const INTERFACE: &str = "vb";
const PATIENCE: Duration = Duration::from_secs(10);

/// How it is called, and what it says when it is ready.
pub(super) struct Contender {
    program: PathBuf,
    arguments: Vec<String>,
    filter: &'static [&'static str],
    suffix: &'static str,
    ready: &'static str,
}

impl Contender {
    pub(super) fn tcpdump(more: &[&str]) -> Self {
        // It would give its rights to a user that may not write here.
        let arguments = [&["-n", "-Z", "root", "-i", INTERFACE], more].concat();
        Self::new("tcpdump".into(), &arguments, "pcap", "listening on")
    }

    pub(super) fn dumpcap() -> Self {
        Self::new("dumpcap".into(), &["-q", "-i", INTERFACE], "pcapng", "File:")
    }

    pub(super) fn own(suffix: &'static str, more: &[&str], filter: &'static [&'static str]) -> Self {
        let arguments = [&["capture", "-n", "-i", INTERFACE], more].concat();
        Self { filter, ..Self::new(net_traffic(), &arguments, suffix, "listening on") }
    }

    fn new(program: PathBuf, arguments: &[&str], suffix: &'static str, ready: &'static str) -> Self {
        let arguments = arguments.iter().map(|word| (*word).to_owned()).collect();
        Self { program, arguments, filter: &[], suffix, ready }
    }
}

/// One that captures. Ended when this is dropped.
pub(super) struct Running {
    child: Child,
    file: PathBuf,
    said: PathBuf,
}

impl Running {
    /// Returns once it says that it is ready.
    pub(super) fn start(contender: &Contender, directory: &Path, cpu: usize) -> Result<Self> {
        let Contender { program, arguments, filter, suffix, ready } = contender;
        let file = directory.join(format!("capture.{suffix}"));
        let said = directory.join("messages");
        let messages = File::create(&said)?;
        let child = Command::new("taskset")
            .args(["-c", &cpu.to_string()])
            .arg(program)
            .args(arguments)
            .arg("-w")
            .arg(&file)
            .args(*filter)
            .stdin(Stdio::null())
            .stdout(messages.try_clone()?)
            .stderr(messages)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut it = Self { child, file, said };
        let began = Instant::now();
        while !fs::read_to_string(&it.said)?.contains(ready) {
            ensure!(
                it.child.try_wait()?.is_none(),
                "{} ended: {}",
                program.display(),
                fs::read_to_string(&it.said)?
            );
            ensure!(began.elapsed() < PATIENCE, "{} does not begin", program.display());
            sleep(Duration::from_millis(5));
        }
        // What belongs to its beginning is over.
        it.cpu_s_when_quiet()?;
        Ok(it)
    }

    /// User and system time of all its threads.
    pub(super) fn cpu_s(&self) -> Result<f64> {
        let clock: ClockId = clock_getcpuclockid(self.pid())?;
        Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
    }

    /// The same, when it has nothing to do any more.
    pub(super) fn cpu_s_when_quiet(&self) -> Result<f64> {
        let began = Instant::now();
        let mut before = self.cpu_s()?;
        while began.elapsed() < PATIENCE {
            sleep(Duration::from_millis(50));
            let now = self.cpu_s()?;
            if now - before < 0.0005 {
                return Ok(now);
            }
            before = now;
        }
        bail!("a capture of nothing does not come to rest")
    }

    /// Gives the file.
    pub(super) fn end(mut self) -> Result<PathBuf> {
        kill(self.pid(), Signal::SIGINT)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "a capture ended with {status}: {}", fs::read_to_string(&self.said)?);
        Ok(self.file.clone())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
