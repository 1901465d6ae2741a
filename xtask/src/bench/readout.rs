//! What it costs to read 20 000 sockets once a second with everything on, as a share of one core, and the memory.

use std::{
    fs,
    process::{Command, Stdio},
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use nix::unistd::{SysconfVar, sysconf};

use super::{net_traffic, sockets::Holders};

const PROCESSES: usize = 10;
/// Two sockets each: 20 000 in all.
const CONNECTIONS_EACH: usize = 1000;
const WARM_UP: Duration = Duration::from_secs(4);
const SECONDS: u32 = 20;

#[expect(clippy::print_stdout, reason = "the figures")]
pub(super) fn run(_pairs: usize) -> Result<()> {
    for sockets in [0, 2 * PROCESSES * CONNECTIONS_EACH] {
        let holders = if sockets == 0 { None } else { Some(Holders::start(PROCESSES, CONNECTIONS_EACH)?) };
        let Reading { cpu_seconds, rss_kib } = measure()?;
        println!(
            "readout, {sockets} sockets once a second: {:.2} % of a core, RSS {:.1} MB",
            100.0 * cpu_seconds / f64::from(SECONDS),
            f64::from(rss_kib) * 1.024e-3,
        );
        drop(holders);
    }
    Ok(())
}

struct Reading {
    cpu_seconds: f64,
    rss_kib: u32,
}

fn measure() -> Result<Reading> {
    let mut child = Command::new(net_traffic())
        .args(["top", "-d", "1", "--json", "--limit", "50"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .context("start the tracer")?;
    sleep(WARM_UP);
    let before = cpu_seconds(child.id())?;
    sleep(Duration::from_secs(1) * SECONDS);
    let reading =
        Reading { cpu_seconds: cpu_seconds(child.id())? - before, rss_kib: resident_kib(child.id())? };
    child.kill().context("end the tracer")?;
    child.wait().context("wait for the tracer")?;
    Ok(reading)
}

/// User and system time of a process.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit_once(')').context("understand /proc/PID/stat")?.1;
    let ticks: u32 =
        fields.split_whitespace().skip(11).take(2).map(str::parse::<u32>).sum::<Result<_, _>>()?;
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the clock's ticks")?;
    Ok(f64::from(ticks) / f64::from(u32::try_from(per_second)?))
}

fn resident_kib(pid: u32) -> Result<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("find VmRSS")?;
    Ok(line.split_whitespace().next().context("read VmRSS")?.parse()?)
}
