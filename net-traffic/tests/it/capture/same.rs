//! tcpdump and net-traffic capture the same traffic: equal bytes in equal order for each direction.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use pcap_io::Direction;

use net_traffic_testing::wait_until;

use super::network::{OWN, PEER, PEER6, Running, TestNetwork, has, net_traffic, numbers};

#[test]
fn unfiltered_packets_equal_those_of_tcpdump() {
    compare("");
}

#[test]
fn filtered_packets_equal_those_of_tcpdump() {
    compare("udp port 7000 or icmp");
}

#[test]
fn ipv6_filtered_packets_equal_those_of_tcpdump() {
    compare("ip6 and greater 100");
}

#[test]
fn offloaded_vlan_tags_are_restored() {
    if !has("tcpdump") || !has("nsenter") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let (ours, theirs) = (network.path("ours.pcap"), network.path("theirs.pcap"));
    let peer = network.peer_pid().to_string();
    let filter = "vlan 5";
    let mut tcpdump = Command::new("nsenter");
    tcpdump.args(["--net", "--target", &peer, "tcpdump", "-i", "vb", "-n", "-U", "--immediate-mode"]);
    tcpdump.args(["-Z", "root", "-w", theirs.to_str().unwrap(), filter]);
    let tcpdump = Running::start(&network, "tcpdump", tcpdump);
    let capture = net_traffic(&["--netns", &peer, "-i", "vb", "-w", ours.to_str().unwrap(), filter]);
    let capture = Running::start(&network, "net-traffic", capture);
    // The receiving end moves the outer tag from the frame to skb->vlan_tci.
    for (kind, tag, length) in
        [(0x8100, 5, 46), (0x8100, 6, 46), (0x8100, 0xa005, 100), (0x88a8, 5, 1000), (0x8100, 5, 1400)]
    {
        send_tagged("va", kind, tag, length);
    }
    capture.wait_until_captured(4);
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!((status, numbers(&messages)), (Some(0), (4, 4, 0)), "{messages}");
    wait_until("tcpdump writes as many packets", || packets(&theirs).len() >= 4);
    tcpdump.end(Signal::SIGINT);
    let ours = packets(&ours);
    assert_eq!(ours, packets(&theirs));
    // The offset: two lengths of the record, two MAC addresses.
    let tags: Vec<_> = ours.iter().map(|packet| packet[20..24].to_vec()).collect();
    assert_eq!(tags, [[0x81, 0, 0, 5], [0x81, 0, 0xa0, 5], [0x88, 0xa8, 0, 5], [0x81, 0, 0, 5]]);
}

/// Broadcasts a frame without changes.
fn send_tagged(interface: &str, kind: u16, tag: u16, length: usize) {
    use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};

    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1]);
    frame.extend([kind, tag, 0x0800].map(u16::to_be_bytes).concat());
    frame.extend(vec![7; length]);
    let found = nix::ifaddrs::getifaddrs().unwrap().find(|found| {
        let is_link = found.address.is_some_and(|address| address.as_link_addr().is_some());
        found.interface_name == interface && is_link
    });
    let address = found.unwrap().address.unwrap();
    let raw = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None).unwrap();
    sendto(raw.as_raw_fd(), &frame, address.as_link_addr().unwrap(), MsgFlags::empty()).unwrap();
}

#[test]
fn truncated_packets_equal_those_of_tcpdump() {
    compare_with("", &["-s", "96"]);
}

fn compare(filter: &str) {
    compare_with(filter, &[]);
}

fn compare_with(filter: &str, flags: &[&str]) {
    if !has("tcpdump") || !has("ping") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    for direction in [Direction::In, Direction::Out] {
        let (word, ours, theirs) = match direction {
            Direction::In => ("in", network.path("ours-in.pcap"), network.path("theirs-in.pcap")),
            Direction::Out => ("out", network.path("ours-out.pcap"), network.path("theirs-out.pcap")),
        };
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args([
            "-i",
            "va",
            "-n",
            "-U",
            "--immediate-mode",
            "-Z",
            "root",
            "-Q",
            word,
            "-w",
            theirs.to_str().unwrap(),
        ]);
        tcpdump.args(flags).arg(filter);
        let tcpdump = Running::start(&network, "tcpdump", tcpdump);
        let mut command = net_traffic(&["-i", "va", "--direction", word, "-w", ours.to_str().unwrap()]);
        command.args(flags).arg(filter);
        command.stdout(Stdio::null());
        let capture = Running::start(&network, "net-traffic", command);
        exchange();
        let (status, messages) = capture.end(Signal::SIGINT);
        assert_eq!(status, Some(0), "{messages}");
        let ours = packets(&ours);
        wait_until("tcpdump writes as many packets", || packets(&theirs).len() >= ours.len());
        tcpdump.end(Signal::SIGINT);
        let theirs = packets(&theirs);
        assert!(ours.len() > 4, "{word} {filter:?}: only {} packets", ours.len());
        assert_eq!(numbers(&messages), (ours.len() as u64, ours.len() as u64, 0));
        // Packets before or after one of the captures are in one file only. Equal packets repeat, so the start in
        // tcpdump's file is ambiguous.
        let is_same = |begin: usize| {
            let shared = ours.len().min(theirs.len() - begin);
            shared + 2 >= ours.len() && ours[..shared] == theirs[begin..begin + shared]
        };
        assert!(
            (0..theirs.len()).any(is_same),
            "{word} {filter:?}: other packets or another order: {} of ours, {} of tcpdump's",
            ours.len(),
            theirs.len()
        );
    }
}

/// Sends UDP datagrams and echo requests of several lengths, slowly.
fn exchange() {
    for (peer, any) in [(PEER, OWN), (PEER6, "fd99::1")] {
        let socket = UdpSocket::bind((any, 0)).unwrap();
        for length in [0, 1, 100, 1000, 1400] {
            // No socket is bound to the port, so ICMP errors return.
            drop(socket.send_to(&vec![7; length], (peer, 7000)));
            std::thread::sleep(Duration::from_millis(5));
        }
        for size in ["56", "1200"] {
            let arguments = ["-n", "-c", "4", "-i", "0.02", "-s", size, peer];
            assert!(Command::new("ping").args(arguments).stdout(Stdio::null()).status().unwrap().success());
        }
    }
}

/// The packets of a pcap file without their times. The last record may be incomplete while tcpdump writes.
fn packets(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).unwrap();
    let mut packets = Vec::new();
    let mut at = 24;
    while let Some(length) = file.get(at + 8..at + 12) {
        let captured = u32::from_le_bytes(length.try_into().unwrap()) as usize;
        let Some(packet) = file.get(at + 8..at + 16 + captured) else { break };
        packets.push(packet.to_vec());
        at += 16 + captured;
    }
    packets
}
