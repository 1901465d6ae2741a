//! One test: a client and a server of its own, which ends with it.

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
use crate::bench::{net_traffic, paired::Side};

const PATIENCE: u32 = 500;
const PACE: Duration = Duration::from_millis(10);
const CLIENTS_PROCESSOR: &str = "0";
const SERVERS_PROCESSOR: &str = "1";

/// Where a test may run.
#[derive(Clone, Copy)]
pub(super) enum Processors {
    /// The client on one, the server on another.
    OneEach,
    /// Wherever the scheduler puts them.
    All,
}

/// A running test.
pub(super) struct Test {
    client: Ending,
    server: Ending,
}

impl Test {
    pub(super) fn start(side: Side, path: &Path, options: &[&str], processors: Processors) -> Result<Self> {
        let program = match side {
            Side::Base => "iperf3".into(),
            Side::Subject => net_traffic().into_os_string(),
        };
        let own: &[&str] = if side == Side::Subject { &["iperf"] } else { &[] };
        // Both sides' tests may be there at a time.
        let port = match side {
            Side::Base => "5201",
            Side::Subject => "5202",
        };
        let mut server = path.far("taskset");
        server.arg("-c").arg(processors.of(SERVERS_PROCESSOR)).arg(&program).args(own);
        server.args(["-s", "-1", "-p", port]).stdin(Stdio::null()).stdout(Stdio::null());
        let server = Ending(server.spawn().context("start a server")?);
        server.wait_until_listening(port)?;
        let mut client = Command::new("taskset");
        client.arg("-c").arg(processors.of(CLIENTS_PROCESSOR)).arg(&program).args(own);
        client.args(["-c", path.host, "-p", port, "-J"]).args(options);
        client.stdin(Stdio::null()).stdout(Stdio::piped());
        Ok(Self { client: Ending(client.spawn().context("start a test")?), server })
    }

    /// Nothing of it runs until it goes on.
    pub(super) fn halt(&self) -> Result<()> {
        self.client.signal(Signal::SIGSTOP)?;
        self.server.signal(Signal::SIGSTOP)
    }

    pub(super) fn go_on(&self) -> Result<()> {
        self.server.signal(Signal::SIGCONT)?;
        self.client.signal(Signal::SIGCONT)
    }

    /// Waits for it, and gives its report.
    pub(super) fn end(mut self) -> Result<Value> {
        let report = self.client.0.stdout.take().context("read the test's report")?;
        let report = serde_json::from_reader(report).context("understand the test's report")?;
        let status = self.client.0.wait().context("wait for the test")?;
        ensure!(status.success(), "the test ended with {status}");
        self.server.0.wait().context("wait for the server")?;
        Ok(report)
    }
}

impl Processors {
    /// In the words of taskset.
    fn of(self, own: &str) -> String {
        match self {
            Self::OneEach => own.to_owned(),
            Self::All => format!("0-{}", available_parallelism().map_or(0, |all| all.get() - 1)),
        }
    }
}

/// Killed if it has not ended by itself.
struct Ending(Child);

impl Ending {
    fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(self.0.id().try_into()?);
        kill(pid, signal).with_context(|| format!("send {signal} to a test"))
    }

    fn wait_until_listening(&self, port: &str) -> Result<()> {
        let local = format!(":{:04X} ", port.parse::<u16>()?);
        for _ in 0..PATIENCE {
            if self.listens(&local) {
                return Ok(());
            }
            sleep(PACE);
        }
        bail!("the server does not listen")
    }

    /// In its own namespace's tables; what it inherits there is not to be found before it is there.
    fn listens(&self, local: &str) -> bool {
        ["tcp", "tcp6"].iter().any(|table| {
            let text = fs::read_to_string(format!("/proc/{}/net/{table}", self.0.id())).unwrap_or_default();
            text.lines().any(|line| line.contains(local) && line.contains(" 0A "))
        })
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        // It has ended where all went well.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
