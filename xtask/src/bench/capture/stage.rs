//! A pair of interfaces between which the packets go, and a place for the files.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::contender::Running;
use super::sender::{OWN, PEER, Sender};
use super::who::Who;
use super::{CAPTURE_CPU, TURN, written};
use crate::process;

pub(super) struct Stage {
    directory: PathBuf,
}

/// What one turn came to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    pub(super) sent: f64,
    pub(super) written: f64,
    seconds: f64,
    /// Of whoever captures, while packets came and until they were in the file.
    capture_cpu_s: f64,
    sender_cpu_s: f64,
}

impl Turn {
    pub(super) fn sent_per_s(&self) -> f64 {
        self.sent / self.seconds
    }

    pub(super) fn written_per_s(&self) -> f64 {
        self.written / self.seconds
    }

    /// In nanoseconds, for each packet in the file.
    pub(super) fn own_cpu(&self) -> f64 {
        self.capture_cpu_s * 1e9 / self.written
    }

    /// The same with the sender, within whose time the kernel does its part of the capture.
    pub(super) fn all_cpu(&self) -> f64 {
        (self.capture_cpu_s + self.sender_cpu_s) * 1e9 / self.written
    }

    pub(super) fn per_own_cpu(&self) -> f64 {
        1e9 / self.own_cpu()
    }

    pub(super) fn per_all_cpu(&self) -> f64 {
        1e9 / self.all_cpu()
    }
}

impl Stage {
    pub(super) fn set() -> Result<Self> {
        let ip = |arguments: &str| process::run(Command::new("ip").args(arguments.split(' ')));
        ip("link add va type veth peer name vb")?;
        let directory = PathBuf::from(format!("/dev/shm/net-traffic-bench-{}", std::process::id()));
        std::fs::create_dir(&directory).context("make a place for the files")?;
        let stage = Self { directory };
        for interface in ["va", "vb"] {
            // Nobody but the sender is to be heard.
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1")
                .context("keep IPv6 quiet")?;
            ip(&format!("link set {interface} up"))?;
        }
        ip(&format!("addr add {OWN}/24 dev va"))?;
        // Of another host: the stack drops the packets once they have been seen.
        ip(&format!("neigh add {PEER} lladdr 02:00:00:00:00:09 dev va"))?;
        Ok(stage)
    }

    pub(super) fn turn(&self, sender: &mut Sender, who: Who) -> Result<Turn> {
        let Some(running) = self.start(who)? else {
            let sent = sender.send(TURN)?;
            return Ok(Turn {
                sent: sent.packets,
                seconds: sent.seconds,
                sender_cpu_s: sent.cpu_s,
                ..Turn::default()
            });
        };
        let before = running.cpu_s()?;
        let sent = sender.send(TURN)?;
        let after = running.cpu_s_when_quiet()?;
        let file = running.end()?;
        let written = written::packets(&file)?;
        std::fs::remove_file(&file).context("remove the file")?;
        Ok(Turn {
            sent: sent.packets,
            written,
            seconds: sent.seconds,
            capture_cpu_s: after - before,
            sender_cpu_s: sent.cpu_s,
        })
    }

    /// Whoever is to capture; `None` if nobody is.
    pub(super) fn start(&self, who: Who) -> Result<Option<Running>> {
        who.contender().map(|contender| Running::start(&contender, &self.directory, CAPTURE_CPU)).transpose()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let removed = process::run(Command::new("ip").args(["link", "delete", "va"]))
            .and_then(|()| Ok(std::fs::remove_dir_all(&self.directory)?));
        if let Err(error) = removed {
            eprintln!("{}: {error}", self.directory.display());
        }
    }
}
