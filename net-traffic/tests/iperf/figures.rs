//! The figures behind the cause are the kernel's: held against what tc, the test's own report and the machine say.

use serde_json::Value;

use crate::obstacles::{lose, shape};
use crate::reports::{Ends, count};
use crate::stage::{End, IPERF3, OURS, Stage, on_stage_first};

/// What our client saw of a test against iperf3, and the test's own report of it.
fn seen(stage: &Stage, port: u16, options: &str) -> (Value, Value) {
    let (report, _) = Ends { client: OURS, server: IPERF3 }.test(stage, port, options);
    (report["net_traffic"].clone(), report)
}

/// What tc counts of the queue of the cable's near end: `dropped` or `overlimits`.
fn queue(stage: &Stage, what: &str) -> u64 {
    let said = stage.start(End::Here, "tc", "-s qdisc show dev va").end().out;
    let after = said.split(what).nth(1).unwrap_or_else(|| panic!("no {what}: {said}"));
    after.split(|at: char| !at.is_ascii_digit()).find(|word| !word.is_empty()).unwrap().parse().unwrap()
}

#[test]
fn a_queue_that_fills_shows_in_round_trips_and_what_it_held_back() {
    on_stage_first("a_queue_that_fills_shows_in_round_trips_and_what_it_held_back", |stage| {
        shape(stage, "rate 10mbit burst 20k latency 300ms");
        let (cause, _) = seen(stage, 6101, "-t 2");
        let interface = &cause["interfaces"][0];
        assert_eq!((&interface["name"], &interface["queue"]), (&"va".into(), &"tbf".into()), "{cause}");
        let held = interface["queue_overlimits"].as_u64().unwrap();
        assert!((1..=queue(stage, "overlimits")).contains(&held), "{held}: {cause}");
        let stream = &cause["streams"][0];
        let [least, most] = ["rtt_min_us", "rtt_max_us"].map(|key| stream[key].as_u64().unwrap());
        // Two seconds fill much of a queue of 300 ms.
        assert!(most >= 30_000 && most > 10 * least, "{least} {most}: {cause}");
        let busy = stream["busy_us"].as_u64().unwrap();
        assert!(busy > 500_000, "{cause}");
    });
}

#[test]
fn what_a_queue_drops_is_counted() {
    on_stage_first("what_a_queue_drops_is_counted", |stage| {
        shape(stage, "rate 2mbit burst 20k limit 20k");
        let (cause, report) = seen(stage, 6102, "-u -b 8M -l 1000 -t 1");
        let dropped = cause["interfaces"][0]["queue_drops"].as_u64().unwrap();
        assert!((1..=queue(stage, "dropped")).contains(&dropped), "{dropped}: {cause}");
        assert!(report["end"]["sum"]["lost_packets"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(cause["limited_by"], "interface_queue", "{cause}");
    });
}

#[test]
fn what_the_interface_itself_drops_is_counted() {
    on_stage_first("what_the_interface_itself_drops_is_counted", |stage| {
        // A cable does not carry what its other end has no room for.
        stage.configure(End::There, &["ip link set vb mtu 1000".to_owned()]);
        let (cause, _) = seen(stage, 6105, "-u -b 2M -l 1200 -t 1");
        let said = stage.start(End::Here, "ip", "-s -j link show va").end().json();
        let counted = count(&said, "/0/stats64/tx/dropped");
        let dropped = count(&cause, "/interfaces/0/dropped");
        // A second of it is some two hundred.
        assert!((100..=counted).contains(&dropped), "{dropped} of {counted}: {cause}");
    });
}

#[test]
fn retransmits_are_those_of_the_tests_own_report() {
    on_stage_first("retransmits_are_those_of_the_tests_own_report", |stage| {
        lose(stage, "tcp dport 6103", 2);
        let (cause, report) = seen(stage, 6103, "-t 2 -b 40M -P 2");
        let streams = cause["streams"].as_array().unwrap();
        let again: u64 = streams.iter().map(|stream| stream["retransmits"].as_u64().unwrap()).sum();
        // The report is made when its sender is done, and what is under way then may be lost, too.
        let reported = report["end"]["sum_sent"]["retransmits"].as_u64().unwrap();
        assert!(
            reported > 0 && (reported..=reported + reported / 2 + 10).contains(&again),
            "{again}: {report}"
        );
    });
}

#[test]
fn each_processor_has_its_share_and_its_softirq() {
    on_stage_first("each_processor_has_its_share_and_its_softirq", |stage| {
        let (cause, _) = seen(stage, 6104, "-t 2");
        let online = std::fs::read_to_string("/proc/stat").unwrap();
        let online =
            online.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
        let cores = cause["cores"].as_array().unwrap();
        assert_eq!(cores.len(), online, "{cause}");
        let share =
            |key: &str| -> Vec<f64> { cores.iter().map(|core| core[key].as_f64().unwrap()).collect() };
        let (busy, softirq) = (share("busy"), share("softirq"));
        let is_part =
            busy.iter().zip(&softirq).all(|(busy, softirq)| (0.0..=*busy).contains(softirq) && *busy <= 1.0);
        assert!(is_part, "{cause}");
        // A stream as fast as it goes keeps the network's part of the kernel busy.
        assert!(busy.iter().sum::<f64>() > 0.3 && softirq.iter().sum::<f64>() > 0.0, "{cause}");
    });
}
