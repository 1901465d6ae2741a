//! Thousands of short processes: no byte is lost, and memory stays bounded.

use std::fs;
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Command, Stdio};

use libtest_mimic::Failed;
use serde_json::Value;

use super::super::skips::note;
use super::super::slowness;
use super::Check;
use super::report::{run, top};
use super::worker::{PAYLOAD_LEN, command};
use net_traffic_testing::report::{bytes, equal, rows};

pub(super) const CHECKS: &[(&str, Check)] = &[("storm::run", of_a_command), ("storm::top", of_the_host)];

/// The number that a busy machine starts in some seconds; fewer under emulation.
fn processes() -> u64 {
    4000 / u64::from(slowness().clamp(1, 10))
}

/// The limit in seconds, for slow machines.
const ENOUGH: f64 = 15.0;
/// The tolerance of the allocator; a leak of one row per process exceeds it.
const GROWTH_KB: u64 = 24 << 10;

fn of_a_command() -> Result<(), Failed> {
    // No process reads: datagrams that exceed the buffer are dropped, and were sent nevertheless.
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = sink.local_addr()?.to_string();
    let (report, status) = run(&command("storm", &[&server, &processes().to_string()]))?;
    let found = rows(&report, "processes", |_| true);
    equal("bytes", &bytes(&found), &(0, processes() * PAYLOAD_LEN as u64), &Value::from(found.len()))?;
    equal("processes", &found.len(), &usize::try_from(processes())?, &report["loss"])?;
    equal(
        "connections",
        &bytes(&rows(&report, "connections", |_| true)),
        &(0, processes() * PAYLOAD_LEN as u64),
        &report["loss"],
    )?;
    equal("loss", &report["loss"]["total"], &Value::from(0), &report["loss"])?;
    equal("status", &status, &Some(0), &report["loss"])
}

fn of_the_host() -> Result<(), Failed> {
    let sink = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = sink.local_addr()?.to_string();
    let mut top = top(&["-u", "--port", &sink.local_addr()?.port().to_string()])?;
    let (mut rounds, mut first, mut took) = (0, None, 0.0);
    while rounds < 4 && took < ENOUGH {
        let words = command("storm", &[&server, &processes().to_string()]);
        let storm = Command::new(&words[0]).args(&words[1..]).stdin(Stdio::null()).output()?;
        equal("the storm", &storm.status.code(), &Some(0), &Value::Null)?;
        note(&format!("program::storm::top: {}", String::from_utf8_lossy(&storm.stderr).trim()));
        rounds += 1;
        let report = top.fresh()?;
        took = report["elapsed_s"].as_f64().unwrap_or(ENOUGH);
        let sent = bytes(&rows(&report, "destinations", |row| row["address"] == "127.0.0.1"));
        equal("bytes", &sent, &(0, rounds * processes() * PAYLOAD_LEN as u64), &report["loss"])?;
        equal("loss", &report["loss"]["total"], &Value::from(0), &report["loss"])?;
        // The first two rounds fill the bounded history of ended processes and connections.
        if rounds == 3 {
            first = Some(resident_kb(top.pid())?);
        }
    }
    if let Some(first) = first
        && rounds == 4
    {
        let last = resident_kb(top.pid())?;
        equal("grew without end", &(last > first + GROWTH_KB), &false, &Value::from(vec![first, last]))?;
    }
    equal("status", &top.stop()?.code(), &Some(0), &Value::Null)
}

fn resident_kb(pid: u32) -> Result<u64, Failed> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
