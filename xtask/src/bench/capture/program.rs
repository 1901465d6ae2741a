//! Runs a program that captures into a file, and reads its CPU time.

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
const TIMEOUT: Duration = Duration::from_secs(10);

/// The command line of a capture program, and the message that says it is capturing.
pub(super) struct CaptureProgram {
    program: PathBuf,
    arguments: Vec<String>,
    filter: &'static [&'static str],
    suffix: &'static str,
    ready: &'static str,
}

impl CaptureProgram {
    pub(super) fn tcpdump(more: &[&str]) -> Self {
        // `-Z root`: the user that tcpdump changes to by default cannot write to the directory.
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

/// A running capture. Dropping it kills the program.
pub(super) struct RunningCapture {
    child: Child,
    file: PathBuf,
    messages: PathBuf,
}

impl RunningCapture {
    /// Starts the program and waits for its ready message.
    pub(super) fn start(program: &CaptureProgram, directory: &Path, cpu: usize) -> Result<Self> {
        let CaptureProgram { program, arguments, filter, suffix, ready } = program;
        let file = directory.join(format!("capture.{suffix}"));
        let messages = directory.join("messages");
        let output = File::create(&messages)?;
        let child = Command::new("taskset")
            .args(["-c", &cpu.to_string()])
            .arg(program)
            .args(arguments)
            .arg("-w")
            .arg(&file)
            .args(*filter)
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output)
            .spawn()
            .with_context(|| format!("start {}", program.display()))?;
        let mut capture = Self { child, file, messages };
        let began = Instant::now();
        while !fs::read_to_string(&capture.messages)?.contains(ready) {
            ensure!(
                capture.child.try_wait()?.is_none(),
                "{} ended: {}",
                program.display(),
                fs::read_to_string(&capture.messages)?
            );
            ensure!(began.elapsed() < TIMEOUT, "{} did not start to capture", program.display());
            sleep(Duration::from_millis(5));
        }
        // The start's own work must not count.
        capture.cpu_s_when_idle()?;
        Ok(capture)
    }

    /// User and system time of all threads.
    pub(super) fn cpu_s(&self) -> Result<f64> {
        let clock: ClockId = clock_getcpuclockid(self.pid())?;
        Ok(Duration::from(clock_gettime(clock)?).as_secs_f64())
    }

    /// Waits until the program is idle, then returns its CPU time.
    pub(super) fn cpu_s_when_idle(&self) -> Result<f64> {
        let began = Instant::now();
        let mut before = self.cpu_s()?;
        while began.elapsed() < TIMEOUT {
            sleep(Duration::from_millis(50));
            let now = self.cpu_s()?;
            if now - before < 0.0005 {
                return Ok(now);
            }
            before = now;
        }
        bail!("the capture is still busy {TIMEOUT:?} after the last packet")
    }

    /// Stops the capture and returns the path of its file.
    pub(super) fn stop(mut self) -> Result<PathBuf> {
        kill(self.pid(), Signal::SIGINT)?;
        let status = self.child.wait()?;
        ensure!(status.success(), "the capture ended with {status}: {}", fs::read_to_string(&self.messages)?);
        Ok(self.file.clone())
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for RunningCapture {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.child.kill());
            drop(self.child.wait());
        }
    }
}
