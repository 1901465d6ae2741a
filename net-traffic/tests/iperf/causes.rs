//! What limits a test is forced, and named rightly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{End, IPERF3, OURS, Stage, THERE, on_stage};

/// Runs a test that is limited on purpose and gives its cause, in JSON and in words.
fn cause(stage: &Stage, port: u16, options: &str) -> (String, String) {
    let _serving = stage.serve(End::There, IPERF3, port, "");
    let json = stage.start(End::Here, OURS, &format!("iperf {THERE} -p {port} {options} -J")).end();
    let text = stage.start(End::Here, OURS, &format!("iperf {THERE} -p {port} {options}")).end();
    let words = text.out.lines().find(|line| line.starts_with("Limited by: ")).unwrap_or_default();
    (json.json()["net_traffic"]["limited_by"].as_str().unwrap().to_owned(), words.to_owned())
}

/// A machine that does other things meanwhile gives them as the cause, and rightly: then, and only then, it is asked
/// once more.
fn check(stage: &Stage, port: u16, options: &str, limit: &str, words: &str) {
    const OF_THE_MACHINE: [&str; 1] = ["processor"];
    let mut named = cause(stage, port, options);
    if OF_THE_MACHINE.contains(&named.0.as_str()) {
        named = cause(stage, port, options);
    }
    assert_eq!(named.0, limit, "{options}: {}", named.1);
    assert!(named.1.contains(words), "{options}: {}", named.1);
}

#[test]
fn a_rate_limit_of_the_interface() {
    on_stage("a_rate_limit_of_the_interface", |stage| {
        let shape = "tc qdisc add dev va root tbf rate 50mbit burst 20k latency 60ms".to_owned();
        stage.configure(End::Here, &[shape]);
        check(stage, 5401, "-t 1", "interface_queue", "the queue of this machine's interface");
    });
}

#[test]
fn a_rate_that_was_asked_for() {
    on_stage("a_rate_that_was_asked_for", |stage| {
        check(stage, 5402, "-t 1 -b 20M", "requested_rate", "the rate that was asked for");
        check(stage, 5403, "-t 1 -u -b 5M", "requested_rate", "the rate that was asked for");
    });
}

#[test]
fn lost_packets() {
    on_stage("lost_packets", |stage| {
        let rules = [
            "nft add table ip lossy",
            "nft add chain ip lossy in { type filter hook input priority 0 ; }",
            "nft add rule ip lossy in tcp dport 5404 meta length > 200 numgen random mod 100 < 3 drop",
        ];
        stage.configure(End::There, &rules.map(str::to_owned));
        check(stage, 5404, "-t 2", "loss", "packets lost on the way");
        let rule =
            "nft add rule ip lossy in udp dport 5409 meta length > 200 numgen random mod 100 < 10 drop";
        stage.configure(End::There, &[rule.to_owned()]);
        check(stage, 5409, "-t 1 -u -b 20M -l 1000", "loss", "packets lost on the way");
    });
}

#[test]
fn a_small_window_of_the_receiver() {
    on_stage("a_small_window_of_the_receiver", |stage| {
        check(stage, 5405, "-t 2 -w 8K", "receiver_window", "the receiver's window");
    });
}

/// Stops a process most of the time, as long as this lives.
struct Slowed(Option<thread::JoinHandle<()>>, Arc<AtomicBool>);

impl Slowed {
    fn new(pid: u32) -> Self {
        let pid = Pid::from_raw(pid.try_into().unwrap());
        let over = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&over);
        let slowing = thread::spawn(move || {
            while !until.load(Ordering::SeqCst) {
                kill(pid, Signal::SIGSTOP).unwrap();
                thread::sleep(Duration::from_millis(100));
                kill(pid, Signal::SIGCONT).unwrap();
                thread::sleep(Duration::from_millis(10));
            }
        });
        Self(Some(slowing), over)
    }
}

impl Drop for Slowed {
    fn drop(&mut self) {
        self.1.store(true, Ordering::SeqCst);
        self.0.take().map(thread::JoinHandle::join).unwrap().unwrap();
    }
}

#[test]
fn a_reader_that_is_slow() {
    on_stage("a_reader_that_is_slow", |stage| {
        // A buffer that a reader who sleeps for a tenth of a second leaves to fill.
        let sizes = "4096 1048576 2097152";
        stage.inside(End::There, || std::fs::write("/proc/sys/net/ipv4/tcp_rmem", sizes).unwrap());
        let serving = stage.serve(End::There, IPERF3, 5408, "");
        let slowed = Slowed::new(serving.pid());
        let json = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5408 -t 3 -J")).end().json();
        let text = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5408 -t 3")).end();
        drop(slowed);
        assert_eq!(json["net_traffic"]["limited_by"], "receiver_application", "{}", json["net_traffic"]);
        let words = "Limited by: the receiving program, which reads too slowly";
        assert!(text.out.contains(words), "{}", text.out);
    });
}

#[test]
fn a_competing_process() {
    on_stage("a_competing_process", |stage| {
        let shape = "tc qdisc add dev va root tbf rate 100mbit burst 20k latency 60ms".to_owned();
        stage.configure(End::Here, &[shape]);
        let _other = stage.serve(End::There, IPERF3, 5406, "");
        let _serving = stage.serve(End::There, IPERF3, 5407, "");
        let competing = stage.start(End::Here, IPERF3, &format!("-c {THERE} -p 5406 -t 25 -P 2"));
        thread::sleep(Duration::from_secs(1));
        let tested = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5407 -t 3 -J")).end();
        let cause = &tested.json()["net_traffic"];
        assert_eq!(cause["limited_by"], "other_traffic", "{cause}");
        let other = &cause["other_processes"][0];
        assert_eq!(other["pid"].as_u64(), Some(competing.pid().into()), "{cause}");
        assert_eq!(other["process"], "iperf3");
        assert!(other["bytes"].as_u64().unwrap() > 1_000_000, "{cause}");
        let text = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5407 -t 3")).end();
        assert!(text.out.contains("Limited by: other traffic on the interface"), "{}", text.out);
        let named = format!("meanwhile: iperf3 (pid {}) moved ", competing.pid());
        assert!(text.out.contains(&named), "{}", text.out);
    });
}
