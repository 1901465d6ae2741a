//! Forces each limit of a test and checks the named cause.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::network::{
    End, IPERF3, OURS, THERE, TestNetwork, in_network, in_network_with_priority, up_to_three_times,
};
use super::obstacles::{lose, shape};

/// Runs a limited test; returns its cause as JSON and as text.
fn cause(network: &TestNetwork, port: u16, options: &str) -> (String, String) {
    let json = network.start(End::Here, OURS, &format!("iperf {THERE} -p {port} {options} -J")).end();
    let text = network.start(End::Here, OURS, &format!("iperf {THERE} -p {port} {options}")).end();
    let words = text.out.lines().find(|line| line.starts_with("Limited by: ")).unwrap_or_default();
    (json.json()["net_traffic"]["limited_by"].as_str().unwrap().to_owned(), words.to_owned())
}

fn check(network: &TestNetwork, port: u16, options: &str, limit: &str, words: &str) {
    let _serving = network.serve(End::There, IPERF3, port, "");
    check_against(network, port, options, limit, words);
}

/// Repeats the test only if its cause is the load of other processes, which is then the right answer.
fn check_against(network: &TestNetwork, port: u16, options: &str, limit: &str, words: &str) {
    const OF_THE_MACHINE: (&str, &str) = ("processor", "a processor of this machine");
    up_to_three_times(|| {
        let (named, messages) = cause(network, port, options);
        if named == OF_THE_MACHINE.0 || messages.contains(OF_THE_MACHINE.1) {
            return Err(format!("{named}, {messages}"));
        }
        assert_eq!(named, limit, "{options}: {messages}");
        assert!(messages.contains(words), "{options}: {messages}");
        Ok(())
    });
}

/// A rate that a busy machine reaches too.
const SLOW: &str = "rate 20mbit burst 20k latency 60ms";

#[test]
fn interface_rate_limit_is_named_as_cause() {
    in_network_with_priority("interface_rate_limit_is_named_as_cause", |network| {
        shape(network, SLOW);
        check(network, 5401, "-t 1", "interface_queue", "the queue of this machine's interface");
    });
}

#[test]
fn requested_rate_is_named_as_cause() {
    in_network_with_priority("requested_rate_is_named_as_cause", |network| {
        for (port, options) in
            [(5402, "-t 1 -b 8M"), (5403, "-t 1 -u -b 2M"), (5410, "-t 1 -R -u -P 2 -b 2M")]
        {
            check(network, port, options, "requested_rate", "the rate that was asked for");
        }
    });
}

#[test]
fn lost_packets_are_named_as_cause() {
    in_network_with_priority("lost_packets_are_named_as_cause", |network| {
        lose(network, "tcp dport 5404", 3);
        check(network, 5404, "-t 2", "loss", "packets lost on the way");
        lose(network, "udp dport 5409", 10);
        check(network, 5409, "-t 1 -u -b 4M -l 1000", "loss", "packets lost on the way");
    });
}

#[test]
fn small_receiver_window_is_named_as_cause() {
    in_network_with_priority("small_receiver_window_is_named_as_cause", |network| {
        check(network, 5405, "-t 2 -w 8K", "receiver_window", "the receiver's window");
    });
}

/// Stops a process most of the time until drop.
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

/// The thread that stops the reader needs CPU time too, so no program gets real-time priority.
#[test]
fn slow_reader_is_named_as_cause() {
    in_network("slow_reader_is_named_as_cause", |network| {
        // A buffer that fills while the reader sleeps 0.1 s.
        let sizes = "4096 1048576 2097152";
        network.inside(End::There, || std::fs::write("/proc/sys/net/ipv4/tcp_rmem", sizes).unwrap());
        let serving = network.serve(End::There, IPERF3, 5408, "");
        let slowed = Slowed::new(serving.pid());
        let words = "Limited by: the receiving program, which reads too slowly";
        check_against(network, 5408, "-t 3", "receiver_application", words);
        drop(slowed);
    });
}

#[test]
fn competing_process_is_named_as_cause() {
    in_network_with_priority("competing_process_is_named_as_cause", |network| {
        shape(network, SLOW);
        let _other = network.serve(End::There, IPERF3, 5406, "");
        let _serving = network.serve(End::There, IPERF3, 5407, "");
        let competing = network.start(End::Here, IPERF3, &format!("-c {THERE} -p 5406 -t 25 -P 2"));
        network.wait_until_sent(End::Here, 1 << 20);
        let tested = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5407 -t 3 -J")).end();
        let cause = &tested.json()["net_traffic"];
        assert_eq!(cause["limited_by"], "other_traffic", "{cause}");
        let other = &cause["other_processes"][0];
        assert_eq!(other["pid"].as_u64(), Some(competing.pid().into()), "{cause}");
        assert_eq!(other["process"], "iperf3");
        assert!(other["bytes"].as_u64().unwrap() > 1_000_000, "{cause}");
        let text = network.start(End::Here, OURS, &format!("iperf {THERE} -p 5407 -t 3")).end();
        assert!(text.out.contains("Limited by: other traffic on the interface"), "{}", text.out);
        let named = format!("meanwhile: iperf3 (pid {}) moved ", competing.pid());
        assert!(text.out.contains(&named), "{}", text.out);
    });
}
