//! The figures behind the cause equal those of tc, of the test's report and of /proc/stat.

use serde_json::Value;

use super::network::{End, IPERF3, OURS, TestNetwork, in_network_with_priority};
use super::obstacles::{lose, shape};
use super::reports::{Ends, count};

/// The client's figures of a test against iperf3, and the report of the test.
fn seen(network: &TestNetwork, port: u16, options: &str) -> (Value, Value) {
    let (report, _) = Ends { client: OURS, server: IPERF3 }.test(network, port, options);
    (report["net_traffic"].clone(), report)
}

/// tc's counter `dropped` or `overlimits` of the queue at the near end.
fn queue(network: &TestNetwork, what: &str) -> u64 {
    let messages = network.start(End::Here, "tc", "-s qdisc show dev va").end().out;
    let after = messages.split(what).nth(1).unwrap_or_else(|| panic!("no {what}: {messages}"));
    after.split(|at: char| !at.is_ascii_digit()).find(|word| !word.is_empty()).unwrap().parse().unwrap()
}

#[test]
fn full_queue_raises_round_trip_and_overlimits() {
    in_network_with_priority("full_queue_raises_round_trip_and_overlimits", |network| {
        shape(network, "rate 10mbit burst 20k latency 300ms");
        let (cause, _) = seen(network, 6101, "-t 2");
        let interface = &cause["interfaces"][0];
        assert_eq!((&interface["name"], &interface["queue"]), (&"va".into(), &"tbf".into()), "{cause}");
        let held = interface["queue_overlimits"].as_u64().unwrap();
        assert!((1..=queue(network, "overlimits")).contains(&held), "{held}: {cause}");
        let stream = &cause["streams"][0];
        let [least, most] = ["rtt_min_us", "rtt_max_us"].map(|key| stream[key].as_u64().unwrap());
        // Two seconds fill a queue of 300 ms.
        assert!(most >= 30_000 && most > 10 * least, "{least} {most}: {cause}");
        let busy = stream["busy_us"].as_u64().unwrap();
        assert!(busy > 500_000, "{cause}");
    });
}

#[test]
fn packets_dropped_by_queue_are_counted() {
    in_network_with_priority("packets_dropped_by_queue_are_counted", |network| {
        shape(network, "rate 2mbit burst 20k limit 20k");
        let (cause, report) = seen(network, 6102, "-u -b 8M -l 1000 -t 1");
        let dropped = cause["interfaces"][0]["queue_drops"].as_u64().unwrap();
        assert!((1..=queue(network, "dropped")).contains(&dropped), "{dropped}: {cause}");
        assert!(report["end"]["sum"]["lost_packets"].as_u64().unwrap() > 0, "{report}");
        assert_eq!(cause["limited_by"], "interface_queue", "{cause}");
    });
}

#[test]
fn packets_dropped_by_interface_are_counted() {
    in_network_with_priority("packets_dropped_by_interface_are_counted", |network| {
        // veth drops a packet if the receiving end's queue is full.
        network.configure(End::There, &["ip link set vb mtu 1000".to_owned()]);
        let (cause, _) = seen(network, 6105, "-u -b 2M -l 1200 -t 1");
        let messages = network.start(End::Here, "ip", "-s -j link show va").end().json();
        let counted = count(&messages, "/0/stats64/tx/dropped");
        let dropped = count(&cause, "/interfaces/0/dropped");
        // One second drops about two hundred packets.
        assert!((100..=counted).contains(&dropped), "{dropped} of {counted}: {cause}");
    });
}

#[test]
fn retransmits_equal_those_of_iperf3() {
    in_network_with_priority("retransmits_equal_those_of_iperf3", |network| {
        lose(network, "tcp dport 6103", 2);
        let (cause, report) = seen(network, 6103, "-t 2 -b 40M -P 2");
        let streams = cause["streams"].as_array().unwrap();
        let again: u64 = streams.iter().map(|stream| stream["retransmits"].as_u64().unwrap()).sum();
        // The sender reports when it has finished; packets in flight may be lost afterwards.
        let reported = report["end"]["sum_sent"]["retransmits"].as_u64().unwrap();
        assert!(
            reported > 0 && (reported..=reported + reported / 2 + 10).contains(&again),
            "{again}: {report}"
        );
    });
}

#[test]
fn report_has_load_of_each_cpu() {
    in_network_with_priority("report_has_load_of_each_cpu", |network| {
        let (cause, _) = seen(network, 6104, "-t 2");
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
        // An unlimited stream causes softirq time.
        assert!(busy.iter().sum::<f64>() > 0.3 && softirq.iter().sum::<f64>() > 0.0, "{cause}");
    });
}
