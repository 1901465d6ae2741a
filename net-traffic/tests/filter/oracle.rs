//! The oracle's frames and verdicts; `filter-oracle/README.md` says what they are.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

use pcap_filter::{CompileOptions, LinkType, NameTable, Packet, Program, run};
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

/// The frames of the first cooked header are those of the second, with that header.
pub(crate) fn frames_path(linktype: &str) -> PathBuf {
    static COOKED: OnceLock<PathBuf> = OnceLock::new();
    if linktype == "LINUX_SLL" {
        return COOKED.get_or_init(write_cooked).clone();
    }
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
        "RAW" => LinkType::Raw,
        "LINUX_SLL" => LinkType::LinuxSll,
        "LINUX_SLL2" => LinkType::LinuxSll2,
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

/// Writes the file with the first cooked header.
fn write_cooked() -> PathBuf {
    let mut file = std::fs::read(frames_path("LINUX_SLL2")).unwrap()[..20].to_vec();
    file.extend(113_u32.to_le_bytes());
    for frame in frames("LINUX_SLL2") {
        let octets = cooked(&frame.octets);
        let (captured, length) = (u32::try_from(octets.len()).unwrap(), frame.wire_length.saturating_sub(4));
        for word in [0, 0, captured, length.max(captured)] {
            file.extend(word.to_le_bytes());
        }
        file.extend(octets);
    }
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("frames-LINUX_SLL-{}.pcap", std::process::id()));
    std::fs::write(&path, file).unwrap();
    path
}

fn cooked(second: &[u8]) -> Vec<u8> {
    const SECOND: usize = 20;
    let mut header = second[..second.len().min(SECOND)].to_vec();
    header.resize(SECOND, 0);
    let mut first = vec![0, header[10], header[8], header[9], 0, header[11]];
    first.extend(&header[12..20]);
    first.extend(&header[..2]);
    first.extend(second.get(SECOND..).unwrap_or(&[]));
    first.truncate(second.len().saturating_sub(4));
    first
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/filter-oracle")
}
