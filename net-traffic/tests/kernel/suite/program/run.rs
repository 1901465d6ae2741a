//! `run`: the exact bytes of a command and its descendants only, and the command's exit status.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::process::Stdio;

use libtest_mimic::Failed;
use net_traffic_testing::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::Check;
use super::report::{program, run};
use super::server::{ANSWER, REPLY, datagrams, streams};
use super::worker::{PAYLOAD_LEN, command};
use net_traffic_testing::report::{bytes, equal, rows};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("run::stream", || stream(Ipv4Addr::LOCALHOST.into())),
    ("run::ipv6", || stream(Ipv6Addr::LOCALHOST.into())),
    ("run::datagrams", a_datagram_is_counted_on_both_ways),
    ("run::exec", || one_process("exec", &["1000", "234"], 1234, 1)),
    ("run::threads", || one_process("threads", &["4", "250"], 1000, 4)),
    ("run::leaderless", || one_process("leaderless", &["777"], 777, 1)),
    ("run::daemon", || one_process("daemon", &["4321"], 4321, 1)),
    ("run::short_lived", short_lived),
    ("run::shared_socket", shared_socket),
    ("run::first_sent_at_once", first_sent_at_once),
    ("run::status", status),
    ("run::signal", signal),
    ("run::input_and_output", input_and_output),
];

const REPLIED: u64 = REPLY as u64;
const ANSWERED: u64 = ANSWER as u64;

/// The bytes of all processes and of all connections of a report.
fn all(report: &Value) -> ((u64, u64), (u64, u64)) {
    let every = |table| bytes(&rows(report, table, |_| true));
    (every("processes"), every("connections"))
}

fn count(report: &Value, table: &str) -> usize {
    rows(report, table, |_| true).len()
}

fn stream(address: IpAddr) -> Result<(), Failed> {
    let server = streams(address)?;
    let (report, status) = run(&command("stream", &[&server.to_string(), "12345"]))?;
    let expected = (REPLIED, 12_345);
    equal("bytes", &all(&report), &(expected, expected), &report)?;
    equal("status", &status, &Some(0), &report)?;
    equal("rows", &(count(&report, "processes"), count(&report, "connections")), &(1, 1), &report)?;
    let connection = &report["connections"][0];
    equal("owner", &connection["pid"], &report["processes"][0]["pid"], &report)?;
    equal("remote", &connection["remote"]["port"], &Value::from(server.port()), &report)?;
    equal("end", &report["processes"][0]["exited"], &Value::from(true), &report)?;
    equal("loss", &report["loss"]["total"], &Value::from(0), &report)
}

fn a_datagram_is_counted_on_both_ways() -> Result<(), Failed> {
    let server = datagrams(Ipv4Addr::LOCALHOST.into())?;
    let (report, _) = run(&command("datagrams", &[&server.to_string(), "20", "300"]))?;
    let expected = (20 * ANSWERED, 20 * 300);
    equal("bytes", &all(&report), &(expected, expected), &report)?;
    equal("protocol", &report["connections"][0]["protocol"], &Value::from("udp"), &report)
}

/// One process moves all bytes, also if it executes another program or loses its main thread.
fn one_process(role: &str, words: &[&str], sent: u64, connections: usize) -> Result<(), Failed> {
    let server = streams(Ipv4Addr::LOCALHOST.into())?.to_string();
    let (report, status) = run(&command(role, &[&[server.as_str()], words].concat()))?;
    let expected = (REPLIED * connections as u64, sent);
    equal("bytes", &all(&report), &(expected, expected), &report)?;
    let found = (count(&report, "processes"), count(&report, "connections"));
    equal("rows", &found, &(1, connections), &report)?;
    equal("status", &status, &Some(0), &report)
}

fn short_lived() -> Result<(), Failed> {
    const PROCESSES: u64 = 60;
    let server = streams(Ipv4Addr::LOCALHOST.into())?.to_string();
    let (report, _) = run(&command("many", &[&server, &PROCESSES.to_string(), "100"]))?;
    let expected = (PROCESSES * REPLIED, PROCESSES * 100);
    equal("bytes", &all(&report), &(expected, expected), &report)?;
    equal("rows", &count(&report, "processes"), &usize::try_from(PROCESSES)?, &report)
}

/// Two processes share a socket: each has its own bytes, the connection has the sum.
fn shared_socket() -> Result<(), Failed> {
    let server = streams(Ipv4Addr::LOCALHOST.into())?.to_string();
    let (report, _) = run(&command("share", &[&server, "1000", "500"]))?;
    let each = |sent: u64| bytes(&rows(&report, "processes", |row| row["tx_bytes"] == sent));
    equal("the first", &each(1000), &(0, 1000), &report)?;
    equal("the second", &each(500), &(REPLIED, 500), &report)?;
    let connections = rows(&report, "connections", |_| true);
    equal("the connection", &(connections.len(), bytes(&connections)), &(1, (REPLIED, 1500)), &report)
}

/// Two threads use a socket first at the same time: its counters start once.
fn first_sent_at_once() -> Result<(), Failed> {
    let (sockets, server) = (400, datagrams(Ipv4Addr::LOCALHOST.into())?);
    let (report, status) = run(&command("at_once", &[&server.to_string(), &sockets.to_string()]))?;
    let expected = (0, sockets * 2 * PAYLOAD_LEN as u64);
    equal("bytes", &all(&report), &(expected, expected), &report)?;
    equal("loss", &report["loss"]["total"], &Value::from(0), &report)?;
    equal("status", &status, &Some(0), &report)
}

fn status() -> Result<(), Failed> {
    let (report, status) = run(&command("exit", &["7"]))?;
    equal("status", &status, &Some(7), &report)?;
    equal("exit_status", &report["exit_status"], &Value::from(7), &report)?;
    equal("processes", &count(&report, "processes"), &0, &report)?;
    for (name, expected) in [("/nonexistent/command", 127), ("/", 126)] {
        let output = program(&["run", "--json", "--", name]).output()?;
        equal(name, &output.status.code(), &Some(expected), &Value::Null)?;
        equal("what is printed", &output.stdout.len(), &0, &Value::Null)?;
    }
    Ok(())
}

/// A signal to the program ends the command, and the report follows.
fn signal() -> Result<(), Failed> {
    let child = program(&["run", "--json", "--"]).args(command("sleep", &[])).spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // The program blocks the signal until the command runs.
    wait_until("the command starts", || {
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        children.is_ok_and(|children| !children.trim().is_empty())
    });
    kill(pid, Signal::SIGTERM)?;
    let output = child.wait_with_output()?;
    equal("status", &output.status.code(), &Some(128 + Signal::SIGTERM as i32), &Value::Null)?;
    let report: Value = serde_json::from_slice(&output.stdout)?;
    equal("exit_status", &report["exit_status"], &Value::from(143), &report)
}

fn input_and_output() -> Result<(), Failed> {
    let mut child = program(&["run", "--"]).args(command("copy", &[])).stdin(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no standard input")?.write_all(b"word\n")?;
    let output = child.wait_with_output()?;
    equal("output", &output.stdout.as_slice(), &b"word\n".as_slice(), &Value::Null)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    equal("the report is on standard error", &said.contains("exit_status: 0"), &true, &Value::from(said))
}
