//! Each line of text equals tcpdump's.

use std::process::Command;

use super::network::{fixture, has, net_traffic, text_of};

#[test]
fn file_prints_as_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let file = fixture();
    let file = file.to_str().unwrap();
    for flags in [
        "", "-e", "-v", "-vv", "-ev", "-q", "-qe", "-x", "-X", "-A", "-xx", "-XX", "-t", "-tt", "-ttt",
        "-tttt", "-ttttt", "-S", "-K", "-#",
    ] {
        let arguments: Vec<&str> =
            ["-n", flags, "-r", file].into_iter().filter(|word| !word.is_empty()).collect();
        let ours = text_of(&net_traffic(&arguments).output().unwrap());
        let theirs = text_of(&Command::new("tcpdump").args(&arguments).output().unwrap());
        assert!(theirs.lines().count() > 80, "tcpdump {flags} printed {} lines", theirs.lines().count());
        // tcpdump prints this ICMP extension, net-traffic does not.
        let theirs: Vec<&str> =
            theirs.lines().filter(|line| !line.contains("Multi-Part extension")).collect();
        let ours: Vec<&str> = ours.lines().collect();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "with {flags}");
        }
        assert_eq!(ours.len(), theirs.len(), "with {flags}");
    }
}

#[test]
fn file_filters_select_as_tcpdump() {
    if !has("tcpdump") {
        return;
    }
    let file = fixture();
    let file = file.to_str().unwrap();
    for filter in [
        "tcp",
        "udp port 53",
        "icmp or icmp6",
        "arp",
        "vlan 5",
        "ip6 and tcp[13] & 2 != 0",
        "greater 1000",
        "host 10.9.0.2 and not tcp",
    ] {
        let arguments = ["-n", "-r", file, filter];
        let ours = text_of(&net_traffic(&arguments).output().unwrap());
        assert_eq!(ours, text_of(&Command::new("tcpdump").args(arguments).output().unwrap()), "{filter}");
    }
}

/// Files with a snapshot length as with `-s`: both programs mark truncated packets.
#[test]
fn truncated_packets_print_as_tcpdump() {
    if !has("tcpdump") || !has("editcap") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    // Except DNS and ICMP, whose truncation tcpdump marks in another way.
    let filter = "(tcp or udp or arp) and not port 53";
    let whole = fixture();
    for snaplen in [20, 34, 42, 48, 54, 64, 66, 70, 74, 78, 82, 86, 90, 96, 128] {
        let cut = directory.path().join(format!("{snaplen}.pcap"));
        let length = snaplen.to_string();
        let arguments = ["-F", "pcap", "-s", &length, whole.to_str().unwrap(), cut.to_str().unwrap()];
        assert!(Command::new("editcap").args(arguments).status().unwrap().success());
        for flags in ["-n", "-ne", "-nv", "-nq"] {
            let arguments = [flags, "-r", cut.to_str().unwrap(), filter];
            let ours = text_of(&net_traffic(&arguments).output().unwrap());
            let theirs = text_of(&Command::new("tcpdump").args(arguments).output().unwrap());
            for (ours, theirs) in ours.lines().zip(theirs.lines()) {
                assert_eq!(ours, theirs, "{snaplen} octets with {flags}");
            }
            assert_eq!(ours.lines().count(), theirs.lines().count(), "{snaplen} octets with {flags}");
        }
    }
}
