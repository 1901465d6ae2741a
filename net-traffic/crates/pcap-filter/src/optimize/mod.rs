//! Makes a program shorter without changing what it accepts, short packets included: a load that may reject the packet
//! stays where it is unless the same load was done before. The exceptions are libpcap's own: octets that a mask of zero
//! hides are not loaded, and tests of the same value are brought together.
//!
//! Values are numbered (`values`), and what is known where is propagated (`state`). Jumps whose outcome is known are led
//! on (`thread`), tests brought together (`pull_up`), blocks rewritten (`simplify`), and equal ones made one (`merge`).

mod merge;
mod pull_up;
mod simplify;
mod state;
mod thread;
mod values;

use super::graph::Graph;
use thread::Reasoning;

/// More rounds than any expression was seen to need; a bound, not a target.
const MAX_ROUNDS: usize = 20;

pub(super) fn optimize(graph: &mut Graph) {
    until_settled(graph, |graph| {
        thread::thread(graph, Reasoning::Equality);
        pull_up::pull_up(graph);
    });
    until_settled(graph, |graph| {
        simplify::simplify(graph);
        thread::thread(graph, Reasoning::Full);
        merge::merge(graph);
    });
}

fn until_settled(graph: &mut Graph, round: impl Fn(&mut Graph)) {
    for _ in 0..MAX_ROUNDS {
        let before = graph.clone();
        round(graph);
        if *graph == before {
            break;
        }
    }
}
