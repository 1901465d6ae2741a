//! The oracle's frames and verdicts; `filter-oracle/README.md` says what they are.

use std::collections::BTreeMap;
use std::path::PathBuf;

use net_traffic::filter::{CompileOptions, LinkType, NameTable, Packet, Program, run};
use serde::Deserialize;

/// What libpcap answered for one expression on one link type.
#[derive(Debug, Deserialize)]
pub(crate) struct Case {
    pub(crate) expression: String,
    pub(crate) linktype: String,
    #[serde(flatten)]
    pub(crate) answer: Answer,
    pub(crate) unoptimized: Option<Answer>,
    #[serde(default)]
    pub(crate) netmask: BTreeMap<String, Answer>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Answer {
    pub(crate) ok: bool,
    pub(crate) verdict: Option<String>,
    pub(crate) len: Option<usize>,
    pub(crate) refused_by: Option<String>,
}

/// One frame of a capture file.
pub(crate) struct Frame {
    pub(crate) octets: Vec<u8>,
    pub(crate) wire_length: u32,
}

pub(crate) fn cases() -> Vec<Case> {
    let text = std::fs::read_to_string(directory().join("verdicts.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

pub(crate) fn frames_path(linktype: &str) -> PathBuf {
    directory().join(format!("frames-{linktype}.pcap"))
}

pub(crate) fn frames(linktype: &str) -> Vec<Frame> {
    let file = std::fs::read(frames_path(linktype)).unwrap();
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut frames = Vec::new();
    let mut at = 24;
    while at < file.len() {
        let captured = word(at + 8) as usize;
        frames.push(Frame { octets: file[at + 16..at + 16 + captured].to_vec(), wire_length: word(at + 12) });
        at += 16 + captured;
    }
    frames
}

pub(crate) fn linktype(name: &str) -> LinkType {
    match name {
        "EN10MB" => LinkType::Ethernet,
        "RAW" => LinkType::RawIp,
        "LINUX_SLL2" => LinkType::LinuxCooked,
        _ => panic!("link type {name}"),
    }
}

/// The names that the oracle knew.
pub(crate) fn names() -> NameTable {
    let services =
        "domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\nhttps 443/udp\nntp 123/udp\nssh 22/tcp\n";
    let protocols = "icmp 1\nigmp 2\ntcp 6\nudp 17\nipv6 41\nesp 50\nah 51\nipv6-icmp 58\nsctp 132\n";
    NameTable::parse(services, protocols)
}

pub(crate) fn options(linktype: LinkType, names: &NameTable) -> CompileOptions<'_> {
    CompileOptions { linktype, netmask: None, snaplen: 262_144, names, metadata: false, optimize: true }
}

/// The frames that a program accepts, one bit a frame.
pub(crate) fn verdict(program: &Program, frames: &[Frame]) -> Vec<bool> {
    let accepts = |frame: &Frame| {
        run(&program.insns, Packet { octets: &frame.octets, wire_length: frame.wire_length, metadata: None })
            != 0
    };
    frames.iter().map(accepts).collect()
}

impl Answer {
    /// Whether libpcap accepts frame `index`. Refused expressions accept none.
    pub(crate) fn accepts(&self, index: usize) -> bool {
        let Some(bitmap) = &self.verdict else { return false };
        let octet = u8::from_str_radix(&bitmap[index / 8 * 2..index / 8 * 2 + 2], 16).unwrap();
        octet >> (index % 8) & 1 == 1
    }
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/filter-oracle")
}
