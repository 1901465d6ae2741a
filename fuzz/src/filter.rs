//! Expressions compile to a program that a kernel would take and that ends on any packet, or are refused with a place.

use pcap_filter::bpf::{JA, JMP, MAX_INSNS, RET};
use pcap_filter::ebpf::{Hook, translate};
use pcap_filter::{CompileOptions, Insn, LinkType, Metadata, NameTable, Packet, compile, run};

/// More instructions than this no kernel takes.
const MAX_EBPF_INSNS: usize = 1_000_000;
const LINKS: [LinkType; 4] =
    [LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll2, LinkType::LinuxSll];
const SNAPLEN: u32 = 262_144;

/// The link type, what else the meaning depends on, the expression up to a 0, a packet.
pub fn check(input: &[u8]) {
    let [link, switches, rest @ ..] = input else { return };
    let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
    let (text, data) = rest.split_at(end);
    let Ok(text) = str::from_utf8(text) else { return };
    let names = NameTable::parse("domain 53/tcp\ndomain 53/udp\nhttp 80/tcp\n", "icmp 1\ntcp 6\nudp 17\n");
    let has = |bit: u8| switches & bit != 0;
    let options = CompileOptions {
        linktype: LINKS[usize::from(*link) % LINKS.len()],
        netmask: has(1).then_some(0xffff_ff00),
        snaplen: SNAPLEN,
        names: &names,
        metadata: has(2),
        optimize: !has(4),
    };
    match compile(text, &options) {
        Ok(program) => {
            check_program(&program.insns);
            let metadata = has(2).then_some(Metadata { packet_type: 4, ifindex: 2, vlan_tci: Some(0x2064) });
            let packet = Packet { data, wire_length: 1500, metadata };
            assert!(matches!(run(&program.insns, packet), 0 | SNAPLEN));
        }
        Err(error) => {
            assert!(error.span.start <= error.span.end && error.span.end <= text.len());
            assert_eq!(error.render(text).lines().count(), 3);
        }
    }
}

/// A kernel's own rules: a bounded length, jumps that stay inside, and an end.
fn check_program(insns: &[Insn]) {
    assert!(insns.len() <= MAX_INSNS);
    assert_eq!(insns.last().map(|insn| insn.class()), Some(RET));
    for (at, insn) in insns.iter().enumerate() {
        if insn.class() == JMP && insn.code != JMP | JA {
            assert!(at + 1 + usize::from(insn.jt.max(insn.jf)) < insns.len());
        }
    }
    for hook in [Hook::TcIngress, Hook::TcEgress, Hook::Xdp] {
        assert!(translate(insns, hook).is_ok_and(|program| program.len() < MAX_EBPF_INSNS));
    }
}
