//! The capture counts each packet that the filter accepts: as captured, as dropped for a reason, or as left over when
//! the capture ended.

use std::io::Read;
use std::net::UdpSocket;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use net_traffic_testing::wait_until;

use super::blocks::{Block, STATISTICS, blocks};
use super::network::{PEER, Running, TestNetwork, has, net_traffic, number, numbers, run, text_of};

/// Sends datagrams from `va` that the filter of the captures accepts.
fn flood(count: u32) {
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    for _ in 0..count {
        drop(socket.send_to(&[7; 1000], (PEER, 7000)));
    }
}

#[test]
fn full_ring_drops_are_counted() {
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("a.pcapng");
    let arguments =
        ["-i", "va", "-B", "16", "--fail-on-loss", "-w", file.to_str().unwrap(), "udp dst port 7000"];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    flood(20_000);
    let (status, messages) = capture.end(Signal::SIGTERM);
    let (captured, received, dropped) = numbers(&messages);
    assert_eq!(received, 20_000, "{messages}");
    assert_eq!(captured + dropped, received, "{messages}");
    assert!(dropped > 0 && messages.contains("ring_full"), "{messages}");
    assert_eq!(status, Some(1), "{messages}");
    let read = net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(text_of(&read).lines().count() as u64, captured);
}

#[test]
fn packets_after_count_limit_are_counted() {
    let Some(network) = TestNetwork::new() else { return };
    // Two captures run at the same time. One ends before the last packet, because of `-c`.
    let unlimited = ["-i", "va", "-w", "/dev/null", "udp dst port 7000"];
    let unlimited = Running::start(&network, "all", net_traffic(&unlimited));
    let limited = ["-i", "va", "-c", "100", "--json", "udp dst port 7000"];
    let lines = network.path("lines");
    let mut command = net_traffic(&limited);
    command.stdout(std::fs::File::create(&lines).unwrap());
    let mut limited = Running::start(&network, "some", command);
    flood(10_000);
    let (status, messages) = limited.wait_for();
    let (captured, received, dropped) = numbers(&messages);
    let left = number(&messages, "left over");
    assert_eq!((status, captured), (Some(0), 100), "{messages}");
    assert!(left > 0 && captured + dropped + left == received, "{messages}");
    let summary = std::fs::read_to_string(&lines).unwrap();
    let summary: serde_json::Value = serde_json::from_str(summary.lines().last().unwrap()).unwrap();
    assert_eq!(summary["received_by_filter"], received);
    assert_eq!(summary["left_over"], left);
    assert_eq!(summary["map_full"], 0);
    let (_, messages) = unlimited.end(Signal::SIGINT);
    assert_eq!(numbers(&messages), (10_000, 10_000, 0), "{messages}");
}

#[test]
fn dropped_packets_are_written_per_interface() {
    if !has("tshark") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("a.pcapng");
    let arguments = ["-i", "lo,va", "-B", "16", "-w", file.to_str().unwrap(), "udp dst port 7000"];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    flood(20_000);
    let (_, messages) = capture.end(Signal::SIGTERM);
    let (captured, received, dropped) = numbers(&messages);
    assert!(dropped > 0 && captured + dropped == received, "{messages}");
    let statistics = statistics(&file);
    // The first interface is loopback, which carried no packet.
    assert_eq!(statistics, [(0, 0, 0), (received, dropped, captured)], "{messages}");
    let counts = Command::new("tshark")
        .args(["-r", file.to_str().unwrap(), "-T", "fields", "-e", "frame.drop_count"])
        .output()
        .unwrap();
    let reported: u64 = text_of(&counts).split_whitespace().filter_map(|word| word.parse::<u64>().ok()).sum();
    assert!(reported > 0 && reported <= dropped, "{reported} of {dropped}");
}

/// The statistics of each interface in a pcapng file: `isb_ifrecv`, `isb_osdrop` and `isb_usrdeliv`.
fn statistics(file: &std::path::Path) -> Vec<(u64, u64, u64)> {
    let counter = |block: &Block, code| block.long(code).unwrap_or(0);
    let statistics = blocks(file).into_iter().filter(|block| block.kind == STATISTICS);
    statistics.map(|block| (counter(&block, 4), counter(&block, 7), counter(&block, 8))).collect()
}

#[test]
fn flood_within_ring_size_loses_nothing() {
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("a.pcapng");
    let arguments = ["-i", "va", "--fail-on-loss", "-w", file.to_str().unwrap(), "udp dst port 7000"];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    flood(2_000);
    capture.signal(Signal::SIGUSR1);
    wait_until("the statistics", || capture.messages().contains("received by filter"));
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!((status, numbers(&messages)), (Some(0), (2_000, 2_000, 0)), "{messages}");
}

#[test]
fn blocked_pipe_drops_packets_as_queue_full() {
    let Some(network) = TestNetwork::new() else { return };
    let mut command = net_traffic(&["-i", "va", "-w", "-", "udp dst port 7000"]);
    command.stdout(Stdio::piped());
    let mut capture = Running::start(&network, "capture", command);
    let mut pipe = capture.stdout();
    // More packets than the pipe, the queue and the ring buffers hold. The test does not read the pipe meanwhile.
    let sent = 150_000;
    flood(sent);
    let reader = std::thread::spawn(move || {
        let mut octets = Vec::new();
        pipe.read_to_end(&mut octets).unwrap();
        octets
    });
    let (status, messages) = capture.end(Signal::SIGTERM);
    let file = network.path("a.pcapng");
    std::fs::write(&file, reader.join().unwrap()).unwrap();
    let (captured, received, dropped) = numbers(&messages);
    assert_eq!((status, received), (Some(0), sent.into()), "{messages}");
    assert!(captured + dropped == received && messages.contains("queue_full"), "{messages}");
    let read = net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap();
    assert_eq!(text_of(&read).lines().count() as u64, captured);
}

#[test]
fn closed_pipe_ends_capture() {
    let Some(network) = TestNetwork::new() else { return };
    let mut command = net_traffic(&["-i", "va", "-w", "-", "udp dst port 7000"]);
    command.stdout(Stdio::piped());
    let mut capture = Running::start(&network, "capture", command);
    let mut pipe = capture.stdout();
    pipe.read_exact(&mut [0; 4]).unwrap();
    drop(pipe);
    flood(1000);
    let (status, messages) = capture.wait_for();
    let (captured, received, dropped) = numbers(&messages);
    let left = number(&messages, "left over");
    assert_eq!((status, dropped), (Some(0), 0), "{messages}");
    assert!(left > 0 && captured + left == received, "{messages}");
}

#[test]
fn full_disk_ends_capture_with_readable_file() {
    let Some(network) = TestNetwork::new() else { return };
    let disk = network.path("disk");
    std::fs::create_dir(&disk).unwrap();
    run("mount", &["-t", "tmpfs", "-o", "size=1m", "none", disk.to_str().unwrap()]);
    let file = disk.join("a.pcapng");
    let arguments = ["-i", "va", "-w", file.to_str().unwrap(), "udp dst port 7000"];
    let mut capture = Running::start(&network, "capture", net_traffic(&arguments));
    flood(5_000);
    let (status, messages) = capture.wait_for();
    let read = net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap();
    run("umount", &[disk.to_str().unwrap()]);
    let (captured, received, dropped) = numbers(&messages);
    assert_eq!(status, Some(1), "{messages}");
    assert!(captured + dropped == received && messages.contains("write_failed"), "{messages}");
    assert_eq!(text_of(&read).lines().count() as u64, captured, "{messages}");
}

#[test]
fn killed_capture_leaves_readable_file_and_no_programs() {
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("a.pcapng");
    let arguments = ["-i", "va", "-w", file.to_str().unwrap(), "udp dst port 7000"];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    flood(100);
    wait_until("the packets are in the file", || std::fs::metadata(&file).unwrap().len() > 100 * 1000);
    // Links end with the process. A filter of clsact stays, and the next capture removes it.
    let uses_links = attached("va").is_some_and(|count| count == 2);
    capture.end(Signal::SIGKILL);
    if uses_links {
        assert_eq!(attached("va"), Some(0), "programs outlived the capture");
    }
    let read = net_traffic(&["-r", file.to_str().unwrap()]).output().unwrap();
    assert_eq!((read.status.code(), text_of(&read).lines().count()), (Some(0), 100));
    let again = ["-i", "va", "-c", "1", "-w", "-"];
    let mut command = net_traffic(&again);
    command.stdout(Stdio::null());
    let mut capture = Running::start(&network, "again", command);
    flood(3);
    assert_eq!(capture.wait_for().0, Some(0));
    let filters = Command::new("tc").args(["filter", "show", "dev", "va", "ingress"]).output();
    assert!(filters.is_ok_and(|output| output.stdout.is_empty()), "a filter was left behind");
}

/// The number of tcx programs on an interface; `None` if the kernel has no tcx (before Linux 6.6).
fn attached(interface: &str) -> Option<usize> {
    use aya::programs::{SchedClassifier, TcAttachType};

    [TcAttachType::Ingress, TcAttachType::Egress]
        .into_iter()
        .map(|side| {
            SchedClassifier::query_tcx(interface, side).ok().map(|(_revision, programs)| programs.len())
        })
        .sum()
}

#[test]
fn new_interface_is_captured() {
    let Some(network) = TestNetwork::new() else { return };
    let lines = network.path("lines");
    let mut command = net_traffic(&["-i", "any", "udp port 7000"]);
    command.stdout(std::fs::File::create(&lines).unwrap());
    let capture = Running::start(&network, "capture", command);
    run("ip", &["link", "add", "vc", "type", "veth", "peer", "name", "vd"]);
    run("ip", &["addr", "add", "10.8.0.1/24", "dev", "vc"]);
    run("ip", &["link", "set", "vc", "up"]);
    run("ip", &["link", "set", "vd", "up"]);
    run("ip", &["neigh", "add", "10.8.0.2", "lladdr", "02:00:00:00:00:09", "dev", "vc"]);
    let socket = UdpSocket::bind("10.8.0.1:0").unwrap();
    let is_captured = |text: &str| std::fs::read_to_string(&lines).unwrap().contains(text);
    wait_until("both ends are captured", || {
        socket.send_to(b"x", "10.8.0.2:7000").unwrap();
        is_captured("vc    Out IP 10.8.0.1.") && is_captured("vd    In  IP 10.8.0.1.")
    });
    assert_eq!(capture.end(Signal::SIGINT).0, Some(0));
}

#[test]
fn removed_interface_ends_capture() {
    let Some(network) = TestNetwork::new() else { return };
    let arguments = ["-i", "va", "-w", "-"];
    let mut command = net_traffic(&arguments);
    command.stdout(Stdio::null());
    let mut capture = Running::start(&network, "capture", command);
    run("ip", &["link", "delete", "va"]);
    let (status, messages) = capture.wait_for();
    assert_eq!(status, Some(1));
    assert!(messages.contains("the interface va is gone"), "{messages}");
}
