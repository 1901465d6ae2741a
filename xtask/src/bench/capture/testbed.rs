//! A veth pair that carries the packets, and a directory on tmpfs for the capture files.

use std::{path::PathBuf, process::Command};

use anyhow::{Context, Result};

use super::competitor::Side;
use super::program::RunningCapture;
use super::sender::{OWN, PEER, Sender};
use super::{CAPTURE_CPU, TURN, written};
use crate::process;

pub(super) struct Testbed {
    directory: PathBuf,
}

/// The figures of one turn. Packet counts are `f64` for the ratios.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    pub(super) sent: f64,
    pub(super) written: f64,
    seconds: f64,
    /// CPU time of the capture program, from the first packet until the last is in the file.
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

    /// The capture program's CPU time in nanoseconds per packet in the file.
    pub(super) fn own_cpu(&self) -> f64 {
        self.capture_cpu_s * 1e9 / self.written
    }

    /// The same plus the sender's CPU time, which includes the kernel's part of the capture.
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

impl Testbed {
    pub(super) fn create() -> Result<Self> {
        let ip = |arguments: &str| process::run(Command::new("ip").args(arguments.split(' ')));
        ip("link add va type veth peer name vb")?;
        let directory = PathBuf::from(format!("/dev/shm/net-traffic-bench-{}", std::process::id()));
        std::fs::create_dir(&directory).context("create the directory for the files")?;
        let testbed = Self { directory };
        for interface in ["va", "vb"] {
            // IPv6 sends packets of its own, such as router solicitations.
            std::fs::write(format!("/proc/sys/net/ipv6/conf/{interface}/disable_ipv6"), "1")
                .context("disable IPv6")?;
            ip(&format!("link set {interface} up"))?;
        }
        ip(&format!("addr add {OWN}/24 dev va"))?;
        // A MAC address that `vb` does not have: `ip_rcv_core` drops the packets after the capture's hooks.
        // <https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/ip_input.c#L465>
        ip(&format!("neigh add {PEER} lladdr 02:00:00:00:00:09 dev va"))?;
        Ok(testbed)
    }

    pub(super) fn run_turn(&self, sender: &mut Sender, side: Side) -> Result<Turn> {
        let Some(running) = self.start(side)? else {
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
        let after = running.cpu_s_when_idle()?;
        let file = running.stop()?;
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

    /// Starts the side's capture program; `None` if the side runs without a capture.
    pub(super) fn start(&self, side: Side) -> Result<Option<RunningCapture>> {
        side.program()
            .map(|program| RunningCapture::start(&program, &self.directory, CAPTURE_CPU))
            .transpose()
    }
}

impl Drop for Testbed {
    fn drop(&mut self) {
        let removed = process::run(Command::new("ip").args(["link", "delete", "va"]))
            .and_then(|()| Ok(std::fs::remove_dir_all(&self.directory)?));
        if let Err(error) = removed {
            eprintln!("{}: {error}", self.directory.display());
        }
    }
}
