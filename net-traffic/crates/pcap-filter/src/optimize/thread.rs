//! Jump threading: a jump skips the blocks whose outcome is known on this path, and may be unknown on others.

use super::super::graph::{BlockId, Graph, Terminator};
use super::simplify::{defines, terminator_uses, uses};
use super::state::{State, analyze, comparison};
use super::values::{Slot, Values};

/// The most blocks that a jump skips in one round.
const MAX_SKIPPED: usize = 32;

/// How to find the outcome of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// By equal values only, as libpcap does. The chains for [`super::pull_up`] are then those of libpcap.
    Equality,
    /// By equal values and ranges.
    Full,
}

/// Threads all jumps of a graph.
pub(super) fn thread(graph: &mut Graph, reasoning: Reasoning) {
    let mut values = Values::default();
    let states = analyze(graph, &mut values);
    let mut live = vec![0; graph.blocks.len()];
    // In reverse topological order: the jumps of the successors are threaded already.
    for id in 0..graph.blocks.len() {
        if let (Some(state), Terminator::Branch { code, k, yes, no }) =
            (&states[id], graph.blocks[id].terminator)
        {
            let mut state = state.clone();
            for insn in &graph.blocks[id].stmts {
                state.advance(&mut values, *insn);
            }
            let comparison = comparison(&mut values, &state.registers, code, k);
            let mut threading = Threading { graph, values: &mut values, reasoning, live: &live };
            let yes = threading.target(&state.after(comparison, true), yes);
            let no = threading.target(&state.after(comparison, false), no);
            graph.blocks[id].terminator = Terminator::Branch { code, k, yes, no };
        }
        live[id] = live_at_entry(graph, &live, id);
    }
}

struct Threading<'a> {
    graph: &'a Graph,
    values: &'a mut Values,
    reasoning: Reasoning,
    /// The slots that are live at the entry of each block, as bits.
    live: &'a [u32],
}

impl Threading<'_> {
    /// The block that a jump to `target` in this state has to reach.
    fn target(&mut self, state: &State, mut target: BlockId) -> BlockId {
        for _ in 0..MAX_SKIPPED {
            match self.skip(state, target) {
                Some(next) => target = next,
                None => break,
            }
        }
        target
    }

    /// The successor of a block, if its outcome is known and nothing that it writes is live after it.
    fn skip(&mut self, state: &State, id: BlockId) -> Option<BlockId> {
        let block = self.graph.block(id);
        let Terminator::Branch { code, k, yes, no } = block.terminator else { return None };
        let mut within = state.clone();
        for insn in &block.stmts {
            let step = self.values.step(&within.registers, *insn);
            if !within.is_safe(step.risk) {
                return None;
            }
            within.registers.set(step.slot, step.value);
        }
        let next = if yes == no {
            yes
        } else {
            let comparison = comparison(self.values, &within.registers, code, k);
            let outcome = match self.reasoning {
                Reasoning::Equality => within.outcome_by_equality(self.values, comparison)?,
                Reasoning::Full => within.outcome(self.values, comparison)?,
            };
            if outcome { yes } else { no }
        };
        let unchanged = |slot: Slot| within.registers.get(slot) == state.registers.get(slot);
        let is_dead = Slot::all().all(|slot| self.live[next.0] & slot.bit() == 0 || unchanged(slot));
        is_dead.then_some(next)
    }
}

fn live_at_entry(graph: &Graph, live: &[u32], id: usize) -> u32 {
    let block = &graph.blocks[id];
    let live_out = match block.terminator {
        Terminator::Return(_) => 0,
        Terminator::Branch { yes, no, .. } => live[yes.0] | live[no.0],
    };
    let at_end = live_out | terminator_uses(block.terminator);
    block.stmts.iter().rev().fold(at_end, |live, insn| live & !defines(*insn).bit() | uses(*insn))
}
