//! What limits a test is forced, and named rightly.

use crate::stage::{End, IPERF3, OURS, Stage, THERE, on_stage};

/// Runs a test that is limited on purpose and gives its cause, in JSON and in words.
fn cause(stage: &Stage, port: u16, options: &str) -> (String, String) {
    let _serving = stage.serve(End::There, IPERF3, port, "");
    let json = stage.start(End::Here, OURS, &format!("iperf {THERE} -p {port} {options} -J")).end();
    let text = stage.start(End::Here, OURS, &format!("iperf {THERE} -p {port} {options}")).end();
    let words = text.out.lines().find(|line| line.starts_with("Limited by: ")).unwrap_or_default();
    (json.json()["net_traffic"]["limited_by"].as_str().unwrap().to_owned(), words.to_owned())
}

/// A machine that does other things meanwhile gives them as the cause, and rightly: so it may take three tests until
/// one has no other than the forced.
fn check(stage: &Stage, port: u16, options: &str, limit: &str, words: &str) {
    let mut named = Vec::new();
    for _ in 0..3 {
        let (json, text) = cause(stage, port, options);
        if json == limit && text.contains(words) {
            return;
        }
        named.push((json, text));
    }
    panic!("{options}: the cause is {limit}, and was named {named:?}");
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
    });
}

#[test]
fn a_small_window_of_the_receiver() {
    on_stage("a_small_window_of_the_receiver", |stage| {
        check(stage, 5405, "-t 2 -w 8K", "receiver_window", "the receiver's window");
    });
}

#[test]
fn a_competing_process_is_named() {
    on_stage("a_competing_process_is_named", |stage| {
        let shape = "tc qdisc add dev va root tbf rate 100mbit burst 20k latency 60ms".to_owned();
        stage.configure(End::Here, &[shape]);
        let _other = stage.serve(End::There, IPERF3, 5406, "");
        let _serving = stage.serve(End::There, IPERF3, 5407, "");
        let competing = stage.start(End::Here, IPERF3, &format!("-c {THERE} -p 5406 -t 20"));
        let tested = stage.start(End::Here, OURS, &format!("iperf {THERE} -p 5407 -t 2 -J")).end();
        let cause = &tested.json()["net_traffic"];
        let other = &cause["other_processes"][0];
        assert_eq!(other["pid"].as_u64(), Some(competing.pid().into()), "{cause}");
        assert_eq!(other["process"], "iperf3");
        assert!(other["bytes"].as_u64().unwrap() > 1_000_000, "{cause}");
    });
}
