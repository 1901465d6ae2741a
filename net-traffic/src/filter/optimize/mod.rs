//! Makes a program shorter without changing what it accepts, short packets included: a load that may reject the packet
//! stays where it is unless the same load was done before. The one exception is libpcap's own: octets that a mask of
//! zero hides are not loaded.
//!
//! Values are numbered (`values`), what is known where is propagated (`state`), blocks are rewritten with it
//! (`simplify`), jumps whose outcome is known are led on (`thread`), and equal blocks become one (`merge`).

mod merge;
mod simplify;
mod state;
mod thread;
mod values;

use super::graph::Graph;

/// More rounds than any expression was seen to need; a bound, not a target.
const MAX_ROUNDS: usize = 20;

pub(super) fn optimize(graph: &mut Graph) {
    for _ in 0..MAX_ROUNDS {
        let before = graph.clone();
        simplify::simplify(graph);
        thread::thread(graph);
        merge::merge(graph);
        if *graph == before {
            break;
        }
    }
}
