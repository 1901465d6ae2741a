//! One throughput test: a client, and a server that exits after it.

use std::{
    fs,
    process::{Child, Command, Stdio},
    thread::{available_parallelism, sleep},
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::Path;
use crate::bench::{net_traffic, paired::Arm};

const POLLS: u32 = 500;
const POLL_INTERVAL: Duration = Duration::from_millis(10);
const CLIENT_CPU: &str = "0";
const SERVER_CPU: &str = "1";

/// The CPUs that a test may use.
#[derive(Clone, Copy)]
pub(super) enum Cpus {
    /// One for the client, another one for the server.
    OneEach,
    /// All: the scheduler places both processes.
    All,
}

/// A running test.
pub(super) struct Test {
    client: KillOnDrop,
    server: KillOnDrop,
}

impl Test {
    pub(super) fn start(arm: Arm, path: &Path, options: &[&str], cpus: Cpus) -> Result<Self> {
        let program = match arm {
            Arm::Base => "iperf3".into(),
            Arm::Subject => net_traffic().into_os_string(),
        };
        let own: &[&str] = if arm == Arm::Subject { &["iperf"] } else { &[] };
        // The tests of both arms exist at the same time.
        let port = match arm {
            Arm::Base => "5201",
            Arm::Subject => "5202",
        };
        let mut server = path.far_command("taskset");
        server.arg("-c").arg(cpus.list(SERVER_CPU)).arg(&program).args(own);
        server.args(["-s", "-1", "-p", port]).stdin(Stdio::null()).stdout(Stdio::null());
        let server = KillOnDrop(server.spawn().context("start a server")?);
        server.wait_until_listening(port)?;
        let mut client = Command::new("taskset");
        client.arg("-c").arg(cpus.list(CLIENT_CPU)).arg(&program).args(own);
        client.args(["-c", path.host, "-p", port, "-J"]).args(options);
        client.stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self { client: KillOnDrop(client.spawn().context("start a test")?), server })
    }

    /// Stops both processes until [`Self::resume`].
    pub(super) fn stop(&self) -> Result<()> {
        self.client.signal(Signal::SIGSTOP)?;
        self.server.signal(Signal::SIGSTOP)
    }

    pub(super) fn resume(&self) -> Result<()> {
        self.server.signal(Signal::SIGCONT)?;
        self.client.signal(Signal::SIGCONT)
    }

    /// Waits for the end of the test and returns its JSON report.
    pub(super) fn wait_report(mut self) -> Result<Value> {
        let report = self.client.0.stdout.take().context("read the test's report")?;
        let report = serde_json::from_reader(report).context("parse the test's report")?;
        let status = self.client.0.wait().context("wait for the test")?;
        ensure!(status.success(), "the test ended with {status}");
        self.server.0.wait().context("wait for the server")?;
        Ok(report)
    }
}

impl Cpus {
    /// The CPU list for taskset. `own` is the process's CPU for [`Self::OneEach`].
    fn list(self, own: &str) -> String {
        match self {
            Self::OneEach => own.to_owned(),
            Self::All => format!("0-{}", available_parallelism().map_or(0, |all| all.get() - 1)),
        }
    }
}

/// A process that is killed on drop unless it has exited.
struct KillOnDrop(Child);

impl KillOnDrop {
    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.0.id().try_into()?);
        kill(pid, signal).with_context(|| format!("send {signal} to a test"))
    }

    fn wait_until_listening(&self, port: &str) -> Result<()> {
        let local = format!(":{:04X} ", port.parse::<u16>()?);
        for _ in 0..POLLS {
            if self.listens(&local) {
                return Ok(());
            }
            sleep(POLL_INTERVAL);
        }
        bail!("the server did not listen on port {port}")
    }

    /// Reads the TCP tables of the server's own namespace. State `0A` is listening.
    /// <https://man7.org/linux/man-pages/man5/proc_pid_net.5.html>
    fn listens(&self, local: &str) -> bool {
        ["tcp", "tcp6"].iter().any(|table| {
            let text = fs::read_to_string(format!("/proc/{}/net/{table}", self.0.id())).unwrap_or_default();
            text.lines().any(|line| line.contains(local) && line.contains(" 0A "))
        })
    }
}

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        // The process has already exited after a test without errors.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
