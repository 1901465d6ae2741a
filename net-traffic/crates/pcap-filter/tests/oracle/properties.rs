//! Whatever the text is: no panic, an end, and a program that a kernel would take.

use pcap_filter::bpf::{JA, JMP, MAX_INSNS, RET};
use pcap_filter::ebpf::{Hook, translate};
use pcap_filter::{FilterError, FilterErrorKind, LinkType, NameTable, Packet, Program, compile, run};
use proptest::prelude::*;

use super::data;
use super::grammar::{Random, expression};

const LINKTYPES: [LinkType; 4] = [LinkType::Ethernet, LinkType::Raw, LinkType::LinuxSll, LinkType::LinuxSll2];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn any_text_is_compiled_or_refused(text in "\\PC{0,60}") {
        check(&text);
    }

    #[test]
    fn any_characters_of_the_language_are_compiled_or_refused(text in "[a-z0-9 .:/()\\[\\]!&|<>=+*%^\\\\-]{0,80}") {
        check(&text);
    }

    #[test]
    fn random_expression_is_compiled_or_refused(seed in any::<u64>()) {
        check(&expression(&mut Random::new(seed), &["tcp".to_owned()]));
    }

    #[test]
    fn program_ends_on_any_packet(seed in any::<u64>(), data in proptest::collection::vec(any::<u8>(), 0..200)) {
        let names = NameTable::default();
        let text = expression(&mut Random::new(seed), &["ip protochain 6 or ip6 protochain 17".to_owned()]);
        for linktype in LINKTYPES {
            let options = data::options(linktype, &names);
            if let Ok(program) = compile(&text, &options) {
                let returned = run(&program.insns, Packet { data: &data, wire_length: 1500, metadata: None });
                prop_assert!(returned == 0 || returned == options.snaplen);
            }
        }
    }
}

#[test]
fn long_expression_is_compiled_or_refused() {
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
fn far_jumps_keep_the_verdict() {
    let ports: Vec<String> = (1000..1400).map(|port| format!("tcp port {port}")).collect();
    let program = first(&format!("({}) or udp port 53 or arp", ports.join(" or "))).unwrap();
    assert!(program.insns.iter().any(|insn| insn.code == JMP | JA), "no jump was far");
    let short = first("tcp portrange 1000-1399 or udp port 53 or arp").unwrap();
    let frames = data::frames("EN10MB");
    assert_eq!(data::verdict(&program, &frames), data::verdict(&short, &frames));
}

fn first(text: &str) -> Result<Program, FilterError> {
    compile(text, &data::options(LinkType::Ethernet, &NameTable::default()))
}

/// Compiles on each link type with each set of options, and checks the program or the error.
fn check(text: &str) {
    let names = data::names();
    for linktype in LINKTYPES {
        for (optimize, metadata) in [(true, false), (true, true), (false, true)] {
            let mut options = data::options(linktype, &names);
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

/// The rules of a kernel: jumps stay inside the program, and the last instruction returns.
fn check_program(program: &Program) {
    let insns = &program.insns;
    assert!(insns.len() <= MAX_INSNS);
    assert_eq!(insns.last().map(|insn| insn.class()), Some(RET));
    for (at, insn) in insns.iter().enumerate() {
        if insn.class() == JMP && insn.code != JMP | JA {
            assert!(at + 1 + usize::from(insn.jt.max(insn.jf)) < insns.len());
        }
    }
    for hook in [Hook::TcIngress, Hook::TcEgress, Hook::Xdp] {
        assert!(translate(insns, hook).is_ok());
    }
}
