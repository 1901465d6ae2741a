//! Leads a jump past the blocks whose outcome is known on this way, though perhaps not on others.

use super::super::graph::{BlockId, End, Graph};
use super::simplify::{needed_by, needed_by_end, written_by};
use super::state::{State, analyze, comparison};
use super::values::{Slot, Values};

/// How many blocks a jump is led past in one round.
const MAX_STEPS: usize = 32;

/// How the outcome of a test is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reasoning {
    /// As libpcap does it, by equal values only: then the chains that tests are moved in are libpcap's.
    Equality,
    /// With all that is known.
    Full,
}

pub(super) fn thread(graph: &mut Graph, reasoning: Reasoning) {
    let mut values = Values::default();
    let states = analyze(graph, &mut values);
    let mut needed = vec![0; graph.blocks.len()];
    // Each block comes after those that it leads to, whose jumps lead far already.
    for id in 0..graph.blocks.len() {
        if let (Some(state), End::Branch { code, k, yes, no }) = (&states[id], graph.blocks[id].end) {
            let mut state = state.clone();
            for insn in &graph.blocks[id].stmts {
                state.advance(&mut values, *insn);
            }
            let comparison = comparison(&mut values, &state.registers, code, k);
            let yes = led_on(graph, &mut values, reasoning, &needed, &state.behind(comparison, true), yes);
            let no = led_on(graph, &mut values, reasoning, &needed, &state.behind(comparison, false), no);
            graph.blocks[id].end = End::Branch { code, k, yes, no };
        }
        needed[id] = needed_at_entry(graph, &needed, id);
    }
}

/// Where a jump to `target` in this state ends up.
fn led_on(
    graph: &Graph,
    values: &mut Values,
    reasoning: Reasoning,
    needed: &[u32],
    state: &State,
    mut target: BlockId,
) -> BlockId {
    for _ in 0..MAX_STEPS {
        match past(graph, values, reasoning, needed, state, target) {
            Some(next) => target = next,
            None => break,
        }
    }
    target
}

/// The block behind `id`, where its outcome is known and nothing that it does is needed.
fn past(
    graph: &Graph,
    values: &mut Values,
    reasoning: Reasoning,
    needed: &[u32],
    state: &State,
    id: BlockId,
) -> Option<BlockId> {
    let block = graph.block(id);
    let End::Branch { code, k, yes, no } = block.end else { return None };
    let mut within = state.clone();
    for insn in &block.stmts {
        let step = values.step(&within.registers, *insn);
        if !within.is_safe(step.risk) {
            return None;
        }
        within.registers.set(step.slot, step.value);
    }
    let next = if yes == no {
        yes
    } else {
        let comparison = comparison(values, &within.registers, code, k);
        let outcome = match reasoning {
            Reasoning::Equality => within.outcome_by_equality(values, comparison)?,
            Reasoning::Full => within.outcome(values, comparison)?,
        };
        if outcome { yes } else { no }
    };
    let unchanged = |slot: Slot| within.registers.get(slot) == state.registers.get(slot);
    let needless = Slot::all().all(|slot| needed[next.0] & slot.bit() == 0 || unchanged(slot));
    needless.then_some(next)
}

fn needed_at_entry(graph: &Graph, needed: &[u32], id: usize) -> u32 {
    let block = &graph.blocks[id];
    let behind = match block.end {
        End::Return(_) => 0,
        End::Branch { yes, no, .. } => needed[yes.0] | needed[no.0],
    };
    let at_end = behind | needed_by_end(block.end);
    block.stmts.iter().rev().fold(at_end, |needed, insn| needed & !written_by(*insn).bit() | needed_by(*insn))
}
