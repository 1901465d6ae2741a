//! Whatever the text is: no panic, an end, and a program that a kernel would take.

use pcap_filter::bpf::{JA, JMP, MAX_INSNS, RET};
use pcap_filter::ebpf::{Lowering, translate};
use pcap_filter::{FilterError, FilterErrorKind, LinkType, NameTable, Packet, Program, compile, run};
use proptest::prelude::*;

use super::grammar::{Random, expression};
use super::oracle;

const LINKTYPES: [LinkType; 4] = [LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll, LinkType::LinuxSll2];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_compiles_or_is_refused(text in "\\PC{0,60}") {
        check(&text);
    }

    #[test]
    fn any_octets_of_the_language_compile_or_are_refused(text in "[a-z0-9 .:/()\\[\\]!&|<>=+*%^\\\\-]{0,80}") {
        check(&text);
    }

    #[test]
    fn random_expressions_compile_or_are_refused(seed in any::<u64>()) {
        check(&expression(&mut Random::new(seed), &["tcp".to_owned()]));
    }

    #[test]
    fn a_program_ends_on_any_packet(seed in any::<u64>(), octets in proptest::collection::vec(any::<u8>(), 0..200)) {
        let names = NameTable::default();
        let text = expression(&mut Random::new(seed), &["ip protochain 6 or ip6 protochain 17".to_owned()]);
        for linktype in LINKTYPES {
            let options = oracle::options(linktype, &names);
            if let Ok(program) = compile(&text, &options) {
                let returned = run(&program.insns, Packet { octets: &octets, wire_length: 1500, metadata: None });
                prop_assert!(returned == 0 || returned == options.snaplen);
            }
        }
    }
}

#[test]
fn long_expressions_end_in_a_program_or_an_error() {
    let hosts = |count: u32| {
        let hosts: Vec<String> = (0..count).map(|n| format!("host 10.0.{}.{}", n / 256, n % 256)).collect();
        hosts.join(" or ")
    };
    assert!(first(&hosts(100)).is_ok());
    assert_eq!(first(&hosts(4_000)).unwrap_err().kind, FilterErrorKind::TooLong(MAX_INSNS));
    assert!(first(&format!("{}tcp", "not ".repeat(100_001))).is_ok());
    for (deep, closed) in [("(", ")"), ("ip[", "]"), ("- ", ""), ("1 % ", ""), ("port 80 and (", ")")] {
        let text = format!("{}1{} = 1", deep.repeat(50_000), closed.repeat(50_000));
        let kind = first(&text).unwrap_err().kind;
        assert!(matches!(kind, FilterErrorKind::TooDeep(_)), "{deep}: {kind:?}");
    }
    let sum = format!("ip[0]{} = 1", " + ip[1]".repeat(50_000));
    assert_eq!(first(&sum).unwrap_err().kind, FilterErrorKind::TooLong(MAX_INSNS));
}

#[test]
fn far_jumps_do_not_change_the_meaning() {
    let ports: Vec<String> = (1000..1400).map(|port| format!("tcp port {port}")).collect();
    let program = first(&format!("({}) or udp port 53 or arp", ports.join(" or "))).unwrap();
    assert!(program.insns.iter().any(|insn| insn.code == JMP | JA), "no jump was far");
    let short = first("tcp portrange 1000-1399 or udp port 53 or arp").unwrap();
    let frames = oracle::frames("EN10MB");
    assert_eq!(oracle::verdict(&program, &frames), oracle::verdict(&short, &frames));
}

fn first(text: &str) -> Result<Program, FilterError> {
    compile(text, &oracle::options(LinkType::Ethernet, &NameTable::default()))
}

/// Compiles in every way, and looks at what comes out.
fn check(text: &str) {
    let names = oracle::names();
    for linktype in LINKTYPES {
        for (optimize, metadata) in [(true, false), (true, true), (false, true)] {
            let mut options = oracle::options(linktype, &names);
            (options.optimize, options.metadata, options.netmask) = (optimize, metadata, Some(0xffff_ff00));
            match compile(text, &options) {
                Ok(program) => check_program(&program),
                Err(error) => {
                    assert!(error.span.start <= error.span.end && error.span.end <= text.len());
                    assert_eq!(error.render(text).lines().count(), 3, "{}", error.render(text));
                }
            }
        }
    }
}

/// The rules that a kernel has: jumps stay inside, and the last instruction returns.
fn check_program(program: &Program) {
    let insns = &program.insns;
    assert!(insns.len() <= MAX_INSNS);
    assert_eq!(insns.last().map(|insn| insn.class()), Some(RET));
    for (at, insn) in insns.iter().enumerate() {
        if insn.class() == JMP && insn.code != JMP | JA {
            assert!(at + 1 + usize::from(insn.jt.max(insn.jf)) < insns.len());
        }
    }
    for lowering in [Lowering::TcIngress, Lowering::TcEgress, Lowering::Xdp] {
        assert!(translate(insns, lowering).is_ok());
    }
}
