//! Compares the compiler with the stored answers of libpcap: a verdict for each frame, or a refusal of the expression.

use std::collections::HashMap;

use pcap_filter::compile;

use super::data::{self, Answer, Frame};

#[test]
fn every_verdict_matches_libpcap() {
    let names = data::names();
    let frames: HashMap<&str, Vec<Frame>> =
        ["EN10MB", "RAW", "LINUX_SLL2"].map(|linktype| (linktype, data::frames(linktype))).into();
    let cases = data::cases();
    assert_eq!(cases.len(), 1071);
    let mut differences = Vec::new();
    let (mut same_as_optimized, mut our_insns, mut libpcap_insns) = (0, 0, 0);
    for case in &cases {
        let mut variants = vec![(None, &case.answer, case.unoptimized.as_ref())];
        for (mask, answer) in &case.netmask {
            let mask = u32::from_str_radix(mask.trim_start_matches("0x"), 16).unwrap();
            variants.push((Some(mask), answer, None));
        }
        for (netmask, answer, unoptimized) in variants {
            let mut options = data::options(data::linktype(&case.linktype), &names);
            options.netmask = netmask;
            let program = compile(&case.expression, &options);
            let difference = match &program {
                Err(error) if answer.ok => Some(format!("refused: {error}")),
                Err(_) => None,
                Ok(_) if !answer.ok && answer.refused_by.as_deref() == Some("compiler") => {
                    Some("accepted".to_owned())
                }
                Ok(program) => {
                    let verdict = data::verdict(program, &frames[case.linktype.as_str()]);
                    same_as_optimized += usize::from(
                        verdict.iter().enumerate().all(|(i, accepted)| *accepted == answer.accepts(i)),
                    );
                    if let Some(len) = answer.len {
                        our_insns += program.insns.len();
                        libpcap_insns += len;
                    }
                    differing_frame(&verdict, answer, unoptimized)
                        .map(|frame| format!("frame {frame} differs"))
                }
            };
            if let Some(difference) = difference {
                differences
                    .push(format!("{} {:?} {netmask:?}: {difference}", case.linktype, case.expression));
            }
        }
    }
    println!(
        "{} cases, {} differences; {same_as_optimized} programs equal the optimized answer on every frame",
        cases.len(),
        differences.len()
    );
    println!("instructions: {our_insns}, libpcap {libpcap_insns}");
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// The first frame for which our verdict equals neither verdict of libpcap: with its optimizer, or without.
fn differing_frame(verdict: &[bool], answer: &Answer, unoptimized: Option<&Answer>) -> Option<usize> {
    let agrees = |index: usize, accepted: bool| {
        accepted == answer.accepts(index)
            || unoptimized.is_some_and(|unoptimized| accepted == unoptimized.accepts(index))
    };
    verdict.iter().enumerate().find(|(index, accepted)| !agrees(*index, **accepted)).map(|(index, _)| index)
}
