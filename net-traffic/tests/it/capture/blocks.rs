//! The blocks and options of written pcapng files, and the values that tshark reads from them.

use std::fs;
use std::io::IoSlice;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrIn, sendmsg};

use net_traffic_testing::wait_until;

use super::network::{Running, TestNetwork, has, net_traffic, text_of};

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
pub(crate) const STATISTICS: u32 = 5;
const PACKET: u32 = 6;

/// A block with its options.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) kind: u32,
    body: Vec<u8>,
    options: Vec<(u16, Vec<u8>)>,
}

impl Block {
    /// The value of the option with this code, which must be unique.
    fn option(&self, code: u16) -> Option<&[u8]> {
        let mut found = self.options.iter().filter(|(found, _)| *found == code);
        let first = found.next().map(|(_, value)| &value[..]);
        assert!(found.next().is_none(), "option {code} twice: {self:?}");
        first
    }

    fn text(&self, code: u16) -> Option<&str> {
        self.option(code).map(|value| std::str::from_utf8(value).unwrap())
    }

    fn word(&self, code: u16) -> Option<u32> {
        self.option(code).map(|value| word(value, 0))
    }

    pub(crate) fn long(&self, code: u16) -> Option<u64> {
        self.option(code).map(|value| u64::from_le_bytes(value.try_into().unwrap()))
    }
}

fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(octets[at..at + 4].try_into().unwrap())
}

/// All blocks of a file in native byte order. Both lengths of each block must agree.
pub(crate) fn blocks(path: &Path) -> Vec<Block> {
    let octets = fs::read(path).unwrap();
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < octets.len() {
        let (kind, length) = (word(&octets, at), word(&octets, at + 4) as usize);
        assert_eq!(word(&octets, at + length - 4) as usize, length);
        let body = octets[at + 8..at + length - 4].to_vec();
        let head = match kind {
            SECTION => 16,
            INTERFACE => 8,
            STATISTICS => 12,
            PACKET => 20 + (word(&body, 12) as usize).next_multiple_of(4),
            _ => body.len(),
        };
        let mut options = Vec::new();
        let mut rest = &body[head..];
        while let [first, second, low, high, ..] = rest {
            let code = u16::from_le_bytes([*first, *second]);
            let size = usize::from(u16::from_le_bytes([*low, *high]));
            if code == 0 {
                break;
            }
            options.push((code, rest[4..4 + size].to_vec()));
            rest = &rest[(4 + size).next_multiple_of(4)..];
        }
        blocks.push(Block { kind, body, options });
        at += length;
    }
    blocks
}

#[test]
fn pcapng_file_has_all_known_metadata() {
    if !has("tshark") || !has("ping") {
        return;
    }
    let Some(network) = TestNetwork::new() else { return };
    let file = network.path("a.pcapng");
    let filter = "udp dst port 7000 or icmp[0] = 8";
    let arguments = ["-i", "va", "-s", "200", "--direction", "out", "-w", file.to_str().unwrap(), filter];
    let capture = Running::start(&network, "capture", net_traffic(&arguments));
    let socket = UdpSocket::bind("10.9.0.1:0").unwrap();
    socket.send_to(b"first", "10.9.0.2:7000").unwrap();
    socket.send_to(&[7; 1000], "10.9.0.2:7000").unwrap();
    send_segments(&socket, 500, 1250);
    // The number of threads is unknown after the process has ended.
    let mut ping = Command::new("ping");
    let mut ping = ping.args(["-n", "-i", "0.2", "10.9.0.2"]).stdout(Stdio::null()).spawn().unwrap();
    wait_until("its process is told", || {
        fs::read(&file).unwrap().windows(9).any(|octets| octets == b"Cmd: ping")
    });
    ping.kill().unwrap();
    ping.wait().unwrap();
    capture.signal(Signal::SIGUSR1);
    wait_until("the statistics", || capture.messages().contains("received by filter"));
    socket.send_to(b"last", "10.9.0.2:7000").unwrap();
    let (status, messages) = capture.end(Signal::SIGINT);
    assert_eq!(status, Some(0), "{messages}");

    let blocks = blocks(&file);
    let kinds: Vec<u32> = blocks.iter().map(|block| block.kind).collect();
    assert!(kinds.len() >= 9 && kinds.starts_with(&[SECTION, INTERFACE, PACKET]), "{kinds:?}: {messages}");
    assert!(kinds.ends_with(&[STATISTICS, PACKET, STATISTICS]), "{kinds:?}: {messages}");
    check_beginning(&blocks[0], &blocks[1], filter);
    let packets: Vec<&Block> = blocks.iter().filter(|block| block.kind == PACKET).collect();
    assert_eq!(packets.len() + 4, blocks.len(), "{kinds:?}");
    check_packets(&packets);
    let count = packets.len() as u64;
    for (statistics, count) in [(&blocks[blocks.len() - 3], count - 1), (&blocks[blocks.len() - 1], count)] {
        let numbers = [4, 6, 7, 8].map(|code| statistics.long(code));
        assert_eq!(numbers, [Some(count), Some(count), Some(0), Some(count)], "{statistics:?}");
        assert!(statistics.option(2).is_some() && statistics.option(3).is_some());
    }
    shown_by_tshark(&file, packets.len());
}

/// One call with several datagrams, which is one GSO packet.
fn send_segments(socket: &UdpSocket, size: u16, length: usize) {
    let peer: SockaddrIn = "10.9.0.2:7000".parse::<std::net::SocketAddrV4>().unwrap().into();
    let octets = vec![9; length];
    let control = [ControlMessage::UdpGsoSegments(&size)];
    let sent =
        sendmsg(socket.as_raw_fd(), &[IoSlice::new(&octets)], &control, MsgFlags::empty(), Some(&peer));
    assert_eq!(sent.unwrap(), length);
}

fn check_beginning(section: &Block, interface: &Block, filter: &str) {
    assert_eq!(section.text(2), Some(std::env::consts::ARCH));
    assert!(section.text(3).is_some_and(|system| system.starts_with("Linux ")), "{section:?}");
    assert!(section.text(4).is_some_and(|program| program.starts_with("net-traffic ")), "{section:?}");
    // The link type, and the snap length.
    assert_eq!((word(&interface.body, 0), word(&interface.body, 4)), (1, 200));
    assert_eq!(interface.text(2), Some("va"));
    assert_eq!(interface.option(9), Some(&[9][..]));
    assert_eq!(interface.text(11), Some(format!("\0{filter}").as_str()));
}

fn check_packets(packets: &[&Block]) {
    const OUT: u32 = 2;
    const CHECKSUM_NOT_READY: u32 = 1 << 9;
    let lengths = |packet: &&Block| (word(&packet.body, 12), word(&packet.body, 16));
    let last = packets[packets.len() - 1];
    let lengths: Vec<_> = packets.iter().take(4).chain([&last]).map(lengths).collect();
    assert_eq!(lengths, [(47, 47), (200, 1042), (200, 1292), (98, 98), (46, 46)]);
    let own = std::process::id();
    let comment = |packet: &Block| packet.text(1).map(str::to_owned);
    // The first packet has the whole process; later packets have its number.
    let first = comment(packets[0]).unwrap();
    assert!(first.starts_with(&format!("PID: {own}\nCmd: ")) && first.contains("\nArgs: "), "{first}");
    assert_eq!(packets[2].options.iter().filter(|(code, _)| *code == 1).count(), 2, "{:?}", packets[2]);
    let segments = packets[2].options.iter().any(|(_, value)| value == b"Segments: 3 of at most 500 octets");
    assert!(segments, "{:?}", packets[2]);
    for packet in [packets[1], last] {
        assert_eq!(comment(packet), Some(format!("PID: {own}")), "this process has several threads");
    }
    // Echo requests have a valid checksum.
    for (place, flags) in [(0, OUT | CHECKSUM_NOT_READY), (2, OUT | CHECKSUM_NOT_READY), (3, OUT)] {
        assert_eq!(packets[place].word(2), Some(flags), "{:?}", packets[place]);
    }
    let ping = packets[3].option(8).unwrap();
    assert_eq!(word(ping, 0), word(ping, 4), "its only thread: {:?}", packets[3]);
    let told = comment(packets[3]).unwrap();
    assert!(
        told.contains(&format!("PID: {}\nCmd: ping\nArgs: ping -n -i 0.2 10.9.0.2", word(ping, 0))),
        "{told}"
    );
}

fn shown_by_tshark(file: &Path, packets: usize) {
    let fields = ["frame.packet_flags_direction", "frame.comment"].map(|name| ["-e", name]).concat();
    let output = Command::new("tshark")
        .args(["-n", "-r", file.to_str().unwrap(), "-T", "fields"])
        .args(fields)
        .output()
        .unwrap();
    let text = text_of(&output);
    assert!(output.status.success() && text.lines().count() == packets, "{text}");
    assert!(text.lines().all(|line| line.starts_with("0x00000002\t")), "{text}");
    assert!(text.contains("Cmd: ping") && text.contains("Segments: 3 of at most 500 octets"), "{text}");
    // The program reads the same values back.
    let again = text_of(&net_traffic(&["--json", "-r", file.to_str().unwrap()]).output().unwrap());
    let objects: Vec<serde_json::Value> =
        again.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&objects[2]["segments"], &objects[2]["segment_size"]), (&3.into(), &500.into()));
    assert_eq!((&objects[0]["checksum"], &objects[3]["checksum"]), (&"not_ready".into(), &().into()));
    assert_eq!((&objects[3]["process"], &objects[0]["direction"]), (&"ping".into(), &"out".into()));
}
