//! A second network namespace behind a veth pair, for benchmarks between two hosts.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, ensure};

use crate::process;

/// The address in the far namespace.
pub(super) const FAR_ADDRESS: &str = "10.79.0.2";
/// The interface in the near namespace.
pub(super) const NEAR_INTERFACE: &str = "near";
const NEAR_ADDRESS: &str = "10.79.0.1";

/// The process that keeps the far namespace alive. Dropping it removes the namespace.
pub(super) struct FarNamespace(Child);

impl FarNamespace {
    /// Creates the namespace and a veth pair between it and the caller's namespace.
    pub(super) fn create() -> Result<Self> {
        // `cat` ends when its stdin closes, so the namespace is removed even if this process is killed.
        let mut holder = Command::new("unshare")
            .args(["--net", "sh", "-c", "ip link set lo up && echo ready && exec cat"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("start unshare")?;
        let mut line = String::new();
        BufReader::new(holder.stdout.take().context("read from the far namespace")?).read_line(&mut line)?;
        let far = Self(holder);
        ensure!(line == "ready\n", "the far namespace was not created");
        let pid = far.0.id().to_string();
        ip(&["link", "add", NEAR_INTERFACE, "type", "veth", "peer", "name", "far", "netns", &pid])?;
        ip(&["address", "add", &format!("{NEAR_ADDRESS}/24"), "dev", NEAR_INTERFACE])?;
        ip(&["link", "set", NEAR_INTERFACE, "up"])?;
        for arguments in [
            &["address", "add", &format!("{FAR_ADDRESS}/24"), "dev", "far"][..],
            &["link", "set", "far", "up"],
        ] {
            process::run(far.command("ip").args(arguments))?;
        }
        Ok(far)
    }

    /// A command that runs in the far namespace.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.0.id())).arg(program);
        command
    }
}

impl Drop for FarNamespace {
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
