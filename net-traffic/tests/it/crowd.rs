//! The full screen with 20 000 connections: the totals include all, and each key has its effect.
//!
//! Needs root, for a network namespace and for counting, and tmux; else skips.
#![expect(clippy::disallowed_methods, reason = "how long the screen takes to answer is measured")]

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Instant;

use net_traffic_testing::in_new_netns;

use crate::tmux::Terminal;

/// Many systems limit a process to 20 000 open files.
const HOLDERS: usize = 2;
/// Both ends of a pair are connections of this host.
const PAIRS_EACH: usize = 5000;
const SENT_EACH: usize = 1024;
/// A leak of one list for each report exceeds it by far.
const MOST_KB: u64 = 200 << 10;

#[test]
fn screen_with_20000_connections_answers_keys() {
    in_new_netns("crowd", crowd);
}

#[expect(clippy::print_stdout, reason = "the figures are for people")]
fn crowd() {
    let Some(terminal) = Terminal::open(140, 40) else { return };
    let mut holders: Vec<_> = (0..HOLDERS).map(|_| Holder::start()).collect();
    let program = assert_cmd::cargo::cargo_bin!("net-traffic").display().to_string();
    terminal.type_line(&format!("{program} top --netns /proc/self/ns/net"));
    let connections = format!("Connections {}", 2 * HOLDERS * PAIRS_EACH);
    terminal.wait_for(&connections);
    // The program counts now, so each connection moves bytes.
    holders.iter_mut().for_each(Holder::send);
    terminal.press("2");
    terminal.wait_for("Processes 2");
    terminal.press("t");
    terminal.wait_for("4.88MiB");
    let mut slowest = ("", 0);
    for (key, seen) in [
        ("4", "Destinations 1"),
        ("Enter", "rx bytes            9.77MiB"),
        ("Escape", "9.77MiB"),
        ("1", connections.as_str()),
        ("s", "by pid"),
        ("G", connections.as_str()),
        ("Enter", "retransmits"),
        ("Escape", connections.as_str()),
        ("?", "Loss ledger"),
        ("Escape", connections.as_str()),
    ] {
        let pressed = Instant::now();
        terminal.press(key);
        terminal.wait_for(seen);
        let took = pressed.elapsed().as_millis();
        if took > slowest.1 {
            slowest = (key, took);
        }
    }
    let resident = resident_kb(terminal.foreground());
    let (key, took) = slowest;
    println!("{connections}: the slowest answer, to the key {key}, took {took} ms; {resident} KB resident");
    assert!(resident < MOST_KB, "{resident} KB");
    assert!(terminal.screen().contains("lost 0"), "{}", terminal.screen());
    terminal.press("q");
    terminal.wait_until_given_back();
}

fn resident_kb(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// A process that holds connections open.
struct Holder {
    child: Child,
    messages: BufReader<ChildStdout>,
}

impl Holder {
    /// Returns when all connections are open.
    fn start() -> Self {
        let mut child = Command::new("prlimit")
            .arg(format!("--nofile={}", 2 * PAIRS_EACH + 64))
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--nocapture", "--exact", "crowd::holds_connections"])
            .env("HOLDS", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let messages = BufReader::new(child.stdout.take().unwrap());
        let mut holder = Self { child, messages };
        holder.wait_for("open");
        holder
    }

    /// Returns when all bytes are sent and received.
    fn send(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"!").unwrap();
        self.wait_for("sent");
    }

    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while !line.ends_with(&format!("{word}\n")) {
            line.clear();
            assert!(self.messages.read_line(&mut line).unwrap() > 0, "no '{word}' came");
        }
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.kill().and_then(|()| self.child.wait()));
    }
}

/// Runs in a process of the test above: opens connections, sends on each after a byte on standard input, and holds
/// them.
#[test]
#[ignore = "holds connections until it is killed"]
fn holds_connections() {
    if std::env::var_os("HOLDS").is_none() {
        return;
    }
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let server = listener.local_addr().unwrap();
    let pair = |_| (TcpStream::connect(server).unwrap(), listener.accept().unwrap().0);
    let mut pairs: Vec<_> = (0..PAIRS_EACH).map(pair).collect();
    println!("open");
    std::io::stdin().read_exact(&mut [0]).unwrap();
    for (client, server) in &mut pairs {
        client.write_all(&[1; SENT_EACH]).unwrap();
        server.read_exact(&mut [0; SENT_EACH]).unwrap();
    }
    println!("sent");
    assert_eq!(std::io::stdin().read(&mut [0]).unwrap(), 0);
}
