//! A second network namespace at the other end of a cable (veth), for benchmarks between two hosts.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// The address of the far end, from here.
pub(super) const THERE: &str = "10.79.0.2";
/// This end's interface.
pub(super) const NEAR: &str = "near";
const HERE: &str = "10.79.0.1";

/// Holds the far namespace, which ends with it.
pub(super) struct Cable(Child);

impl Cable {
    /// Lays it from the namespace of the caller.
    pub(super) fn lay() -> Result<Self> {
        // Waits on its standard input, so that it ends with its parent whatever happens.
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start unshare")?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().context("read from the far namespace")?).read_line(&mut line)?;
        let cable = Self(holder);
        ensure!(line == "ready\n", "no second namespace");
        let pid = cable.0.id().to_string();
        ip(&["link", "add", NEAR, "type", "veth", "peer", "name", "far", "netns", &pid])?;
        ip(&["address", "add", &format!("{HERE}/24"), "dev", NEAR])?;
        ip(&["link", "set", NEAR, "up"])?;
        for arguments in
            [&["address", "add", &format!("{THERE}/24"), "dev", "far"][..], &["link", "set", "far", "up"]]
        {
            process::run(cable.command("ip").args(arguments))?;
        }
        Ok(cable)
    }

    /// To be started at the far end.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).arg(program);
        command
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        if let Err(error) = self.0.wait() {
            eprintln!("the far namespace: {error}");
        }
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    process::run(Command::new("ip").args(arguments))
}
