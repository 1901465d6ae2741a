//! `connections` with counting: sockets known from netlink only, and unusual mounts.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::Command;
use std::thread;

use libtest_mimic::Failed;
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;

use super::Check;
use super::report::program;
use net_traffic_testing::report::{Top, bytes, equal, rows};

pub(super) const CHECKS: &[(&str, Check)] = &[
    ("connections::orphan", orphan),
    ("connections::queued", queued),
    ("connections::hidden_cgroups", hidden_cgroups),
];

/// The second of two reports.
fn counted() -> Result<Value, Failed> {
    let output = program(&["connections", "--json", "-d", "0.1", "-c", "2"]).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().ok_or_else(|| format!("no report; it said {errors:?}"))?;
    Ok(serde_json::from_str(last)?)
}

/// A closed socket with unsent bytes is still a connection.
fn orphan() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut sender = TcpStream::connect(listener.local_addr()?)?;
    let (_silent, peer) = listener.accept()?;
    sender.set_nonblocking(true)?;
    while sender.write(&[1; 16_000]).is_ok() {}
    drop(sender);
    let report = counted()?;
    let found = rows(&report, "connections", |row| row["local"]["port"] == peer.port());
    let states: Vec<_> = found.iter().map(|row| row["state"].clone()).collect();
    equal("the orphan", &states, &vec![Value::from("fin_wait_1")], &report)
}

/// Unaccepted connections at the start of counting are shown without an owner. After the accept their bytes are exact,
/// and idle ones get their owner too.
fn queued() -> Result<(), Failed> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let server = listener.local_addr()?;
    let mut clients = [TcpStream::connect(server)?, TcpStream::connect(server)?];
    clients[0].write_all(&[1; 1000])?;
    let mut follow = program(&["connections", "--json", "-d", "0.2", "--port", &server.port().to_string()]);
    follow.arg("-e");
    let mut connections = Top::follow(follow)?;
    let accepting = |row: &Value| row["local"]["port"] == server.port();
    let report = connections.fresh()?;
    let waiting = rows(&report, "connections", accepting);
    let owners: Vec<_> = waiting.iter().map(|row| row["pid"].clone()).collect();
    equal("owners of those that wait", &owners, &vec![Value::Null, Value::Null], &report)?;
    equal("bytes of those that wait", &bytes(&waiting), &(0, 0), &report)?;

    let mut accepted = [listener.accept()?.0, listener.accept()?.0];
    accepted[0].read_exact(&mut [0; 1000])?;
    accepted[0].write_all(&[1; 77])?;
    clients[0].read_exact(&mut [0; 77])?;
    let moved = |report: &Value| bytes(&rows(report, "connections", accepting));
    let owned =
        |report: &Value| rows(report, "connections", |row| accepting(row) && row["pid"].is_u64()).len();
    let mut report = connections.fresh()?;
    equal("bytes", &moved(&report), &(1000, 77), &report)?;
    // The owner of an idle socket is looked up less and less often.
    for _ in 0..100 {
        if owned(&report) == 2 {
            break;
        }
        report = connections.fresh()?;
    }
    equal("owned", &owned(&report), &2, &report)?;
    equal("bytes", &moved(&report), &(1000, 77), &report)?;
    equal("status", &connections.stop()?.code(), &Some(0), &report)
}

/// `ip netns exec` mounts a /sys without cgroups. Bytes are counted nevertheless.
fn hidden_cgroups() -> Result<(), Failed> {
    // A thread of its own, because unshare changes the mounts of the calling thread.
    let report = thread::spawn(|| -> Result<Value, String> {
        unshare(CloneFlags::CLONE_NEWNS).map_err(|error| error.to_string())?;
        for line in ["mount --make-rprivate /", "umount -l /sys", "mount -t sysfs sysfs /sys"] {
            let words: Vec<_> = line.split(' ').collect();
            let status = Command::new(words[0]).args(&words[1..]).status();
            if !status.is_ok_and(|status| status.success()) {
                return Err(format!("{line} failed"));
            }
        }
        counted().map_err(|error| error.message().unwrap_or_default().to_owned())
    });
    let report = report.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let counts = |row: &Value| row["slot"] == "tcp_send" && row["tier"].is_string();
    equal("what counts", &rows(&report, "sources", counts).len(), &1, &report)
}
