//! Random expressions against the installed libpcap: the same verdicts, the same refusals.

use net_traffic::filter::bpf::{JA, JMP};
use net_traffic::filter::{Insn, NameTable, Packet, Program, compile, run};

use super::grammar::{Random, expression};
use super::libpcap::Libpcap;
use super::oracle::{self, Frame};

/// Expressions a link type; `FILTER_EXPRESSIONS` and `FILTER_SEED` ask for more and for others.
const EXPRESSIONS: u64 = 150;

#[test]
fn agrees_with_the_installed_libpcap_on_random_expressions() {
    let setting = |name: &str, default| std::env::var(name).map_or(default, |text| text.parse().unwrap());
    let (seed, count) = (setting("FILTER_SEED", 1), setting("FILTER_EXPRESSIONS", EXPRESSIONS));
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    let names = NameTable::parse(&read("/etc/services"), &read("/etc/protocols"));
    let corpus: Vec<String> =
        oracle::cases().into_iter().map(|case| case.expression).filter(|text| !looks_up(text)).collect();
    let mut differences = Vec::new();
    let (mut accepted, mut ours, mut theirs) = (0, 0, 0);
    for linktype in ["EN10MB", "RAW", "LINUX_SLL2"] {
        let libpcap = match Libpcap::open(linktype) {
            Ok(libpcap) if libpcap.version().contains("version 1.10.3") => libpcap,
            Ok(libpcap) => {
                return println!("SKIP: the semantics are those of 1.10.3, not of {}", libpcap.version());
            }
            Err(reason) => return println!("SKIP: libpcap0.8 is not installed: {reason}"),
        };
        let frames = oracle::frames(linktype);
        let options = oracle::options(oracle::linktype(linktype), &names);
        for index in 0..count {
            let mut random = Random::new(seed.wrapping_mul(1_000_003).wrapping_add(index));
            let text = expression(&mut random, &corpus);
            let mine = compile(&text, &options);
            match (libpcap.compile(&text, false), &mine) {
                (Err(_), Err(_)) => {}
                (Err(error), Ok(_)) => {
                    differences.push(format!("{linktype} {text:?}: accepted, libpcap: {error}"))
                }
                (Ok(_), Err(error)) => differences.push(format!("{linktype} {text:?}: refused: {error}")),
                (Ok(unoptimized), Ok(program)) => {
                    accepted += 1;
                    let optimized = libpcap.compile(&text, true).ok();
                    ours += program.insns.len();
                    theirs += optimized.as_ref().map_or(program.insns.len(), Vec::len);
                    let differs =
                        frame_that_differs(&libpcap, &frames, program, &unoptimized, optimized.as_deref());
                    if let Some(frame) = differs {
                        differences.push(format!("{linktype} {text:?}: frame {frame} differs"));
                    }
                }
            }
        }
    }
    println!(
        "{} expressions, {accepted} accepted, {} differences; instructions: {ours}, libpcap {theirs}",
        count * 3,
        differences.len()
    );
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(accepted > count / 2, "only {accepted} expressions were accepted");
}

/// A frame with a verdict that is neither of libpcap's two.
fn frame_that_differs(
    libpcap: &Libpcap,
    frames: &[Frame],
    mine: &Program,
    unoptimized: &[Insn],
    optimized: Option<&[Insn]>,
) -> Option<usize> {
    // libpcap's interpreter would not come back from some frames.
    let loops = |insns: &[Insn]| insns.iter().any(|insn| insn.code == JMP | JA && insn.k.cast_signed() < 0);
    let with_loops = loops(unoptimized);
    let theirs = |insns: &[Insn], frame: &Frame| {
        if with_loops { execute(insns, frame) != 0 } else { libpcap.run(insns, frame) != 0 }
    };
    frames.iter().position(|frame| {
        let verdict = execute(&mine.insns, frame) != 0;
        verdict != theirs(unoptimized, frame) && optimized.is_none_or(|insns| verdict != theirs(insns, frame))
    })
}

fn execute(insns: &[Insn], frame: &Frame) -> u32 {
    run(insns, Packet { octets: &frame.octets, wire_length: frame.wire_length, metadata: None })
}

/// Whether an expression, with a token exchanged, might look up a host name in the network, or has undefined parts.
fn looks_up(expression: &str) -> bool {
    const WORDS: [&str; 24] = [
        "geneve",
        "\\",
        "nosuch",
        "foo",
        "ssh",
        "http",
        "domain",
        "router",
        "ntp",
        "type",
        "dir ",
        "wlan",
        "lane",
        "vci",
        "metac",
        "connectmsg",
        "ifname",
        "reason",
        "action",
        "fisu",
        "opc",
        "rulenum",
        "loopback",
        "TCP",
    ];
    WORDS.iter().any(|word| expression.contains(word))
        || expression.contains(['-', ','])
        || expression.starts_with("llc")
}
