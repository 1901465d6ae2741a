//! The stored frames and verdicts; `README.md` describes them.

use std::collections::BTreeMap;

use pcap_filter::{CompileOptions, LinkType, NameTable, Packet, Program, run};
use serde::Deserialize;

/// The answer of libpcap to one expression on one link type.
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
    pub(crate) data: Vec<u8>,
    pub(crate) wire_length: u32,
}

pub(crate) fn cases() -> Vec<Case> {
    include_str!("verdicts.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The capture file of a link type. That of `LINUX_SLL` has the frames of `LINUX_SLL2` with the version 1 header.
pub(crate) fn capture_file(linktype: &str) -> Vec<u8> {
    match linktype {
        "EN10MB" => include_bytes!("frames-EN10MB.pcap").to_vec(),
        "RAW" => include_bytes!("frames-RAW.pcap").to_vec(),
        "LINUX_SLL2" => include_bytes!("frames-LINUX_SLL2.pcap").to_vec(),
        "LINUX_SLL" => version_1_file(),
        other => panic!("link type {other}"),
    }
}

pub(crate) fn frames(linktype: &str) -> Vec<Frame> {
    const FILE_HEADER: usize = 24;
    const FRAME_HEADER: usize = 16;
    let file = capture_file(linktype);
    let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
    let mut frames = Vec::new();
    let mut at = FILE_HEADER;
    while at < file.len() {
        let captured = word(at + 8) as usize;
        let data = file[at + FRAME_HEADER..][..captured].to_vec();
        frames.push(Frame { data, wire_length: word(at + 12) });
        at += FRAME_HEADER + captured;
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

/// The names that libpcap resolved when it gave the stored verdicts.
pub(crate) fn names() -> NameTable {
    let services =
        "domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\nhttps 443/tcp\nhttps 443/udp\nntp 123/udp\nssh 22/tcp\n";
    let protocols = "icmp 1\nigmp 2\ntcp 6\nudp 17\nipv6 41\nesp 50\nah 51\nipv6-icmp 58\nsctp 132\n";
    NameTable::parse(services, protocols)
}

/// Whether the program accepts each frame.
pub(crate) fn verdict(program: &Program, frames: &[Frame]) -> Vec<bool> {
    let accepts = |frame: &Frame| {
        let packet = Packet { data: &frame.data, wire_length: frame.wire_length, metadata: None };
        run(&program.insns, packet) != 0
    };
    frames.iter().map(accepts).collect()
}

pub(crate) fn options(linktype: LinkType, names: &NameTable) -> CompileOptions<'_> {
    CompileOptions::new(linktype, names)
}

impl Answer {
    /// Whether libpcap accepts frame `index`. A refused expression accepts none.
    pub(crate) fn accepts(&self, index: usize) -> bool {
        let Some(bitmap) = &self.verdict else { return false };
        let byte = u8::from_str_radix(&bitmap[index / 8 * 2..index / 8 * 2 + 2], 16).unwrap();
        byte >> (index % 8) & 1 == 1
    }
}

fn version_1_file() -> Vec<u8> {
    const LINKTYPE_OFFSET: usize = 20;
    const LINUX_SLL: u32 = 113;
    /// The version 2 header has four more bytes.
    const SHORTER: u32 = 4;
    let mut file = capture_file("LINUX_SLL2")[..LINKTYPE_OFFSET].to_vec();
    file.extend(LINUX_SLL.to_le_bytes());
    for frame in frames("LINUX_SLL2") {
        let data = version_1_frame(&frame.data);
        let captured = u32::try_from(data.len()).unwrap();
        let length = frame.wire_length.saturating_sub(SHORTER);
        for word in [0, 0, captured, length.max(captured)] {
            file.extend(word.to_le_bytes());
        }
        file.extend(data);
    }
    file
}

/// Replaces the version 2 header of a frame by the version 1 header.
fn version_1_frame(frame: &[u8]) -> Vec<u8> {
    const VERSION_2_HEADER: usize = 20;
    let mut header = frame[..frame.len().min(VERSION_2_HEADER)].to_vec();
    header.resize(VERSION_2_HEADER, 0);
    let mut data = vec![0, header[10], header[8], header[9], 0, header[11]];
    data.extend(&header[12..20]);
    data.extend(&header[..2]);
    data.extend(frame.get(VERSION_2_HEADER..).unwrap_or(&[]));
    data.truncate(frame.len().saturating_sub(4));
    data
}
