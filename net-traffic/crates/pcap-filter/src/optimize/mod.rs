//! Makes a program shorter without a change of its verdicts, on short packets too: a load rejects a packet that ends
//! before it, so a load stays in place unless the same load precedes it. Two exceptions are libpcap's: a load under a
//! mask of zero is removed, and tests of the same value are grouped.
//!
//! `values` numbers the values, and `state` propagates facts along the graph. `thread` threads jumps, `pull_up` groups
//! tests, `simplify` rewrites blocks, and `merge` merges equal blocks.

mod merge;
mod pull_up;
mod simplify;
mod state;
mod thread;
mod values;

use super::graph::Graph;
use thread::Reasoning;

/// Bounds the time. No known expression needs as many.
const MAX_ROUNDS: usize = 20;

pub(super) fn optimize(graph: &mut Graph) {
    until_stable(graph, |graph| {
        thread::thread(graph, Reasoning::Equality);
        pull_up::pull_up(graph);
    });
    until_stable(graph, |graph| {
        simplify::simplify(graph);
        thread::thread(graph, Reasoning::Full);
        merge::merge(graph);
    });
}

fn until_stable(graph: &mut Graph, round: impl Fn(&mut Graph)) {
    for _ in 0..MAX_ROUNDS {
        let before = graph.clone();
        round(graph);
        if *graph == before {
            break;
        }
    }
}
