//! Groups tests of the same value: `src a or dst a or src b` becomes `src a or src b or dst a`, so that the second load
//! of the source is redundant. libpcap does the same, which changes the verdict on short packets.
//!
//! A chain is a run of blocks with one successor in common; the other successor of each is the next block. Blocks of a
//! chain may change places if no block reads what another block writes.

use super::super::graph::{BlockId, Graph, Terminator};
use super::simplify::{defines, terminator_uses, uses};
use super::state::analyze;
use super::values::{Value, Values};

pub(super) fn pull_up(graph: &mut Graph) {
    let mut mover = Mover::new(graph);
    for id in graph.topological_order() {
        for along in [false, true] {
            while mover.pull_forward(graph, id, along).is_some() {}
        }
    }
    graph.renumber();
}

struct Mover {
    /// The value of A at the end of each block.
    a_at_end: Vec<Option<Value>>,
    /// The slots that each block reads before it writes them, and the slots that it writes.
    reads: Vec<u32>,
    writes: Vec<u32>,
    /// The slots that are live at the entry of each block.
    live: Vec<u32>,
    /// The predecessors of each block. Twice, if both successors of a predecessor are the block.
    predecessors: Vec<Vec<BlockId>>,
}

impl Mover {
    fn new(graph: &Graph) -> Self {
        let count = graph.blocks.len();
        let mut values = Values::default();
        let states = analyze(graph, &mut values);
        let mut mover = Self {
            a_at_end: vec![None; count],
            reads: vec![0; count],
            writes: vec![0; count],
            live: vec![0; count],
            predecessors: vec![Vec::new(); count],
        };
        for (id, (block, state)) in graph.blocks.iter().zip(states).enumerate() {
            if let Some(mut state) = state {
                block.stmts.iter().for_each(|insn| state.advance(&mut values, *insn));
                mover.a_at_end[id] = Some(state.registers.a);
            }
            let entry = |at_end: u32| {
                block.stmts.iter().rev().fold(at_end, |live, insn| live & !defines(*insn).bit() | uses(*insn))
            };
            mover.writes[id] = block.stmts.iter().fold(0, |writes, insn| writes | defines(*insn).bit());
            mover.reads[id] = entry(terminator_uses(block.terminator));
            mover.live[id] = mover.reads[id];
            // Both successors count, even if one is never taken: its predecessor must not change.
            if let Terminator::Branch { yes, no, .. } = block.terminator {
                mover.live[id] |= entry(mover.live[yes.0] | mover.live[no.0]);
                mover.predecessors[yes.0].push(BlockId(id));
                mover.predecessors[no.0].push(BlockId(id));
            }
        }
        mover
    }

    /// Moves one block of the chain that begins with `first` to the front of the chain, or behind the moved blocks there.
    /// The block must test the value that all predecessors of `first` leave in A. `along`: the outcome that leads from
    /// block to block of the chain.
    fn pull_forward(&mut self, graph: &mut Graph, first: BlockId, along: bool) -> Option<()> {
        const REGISTERS: u32 = 0b11;
        let predecessors = self.predecessors[first.0].clone();
        let value = self.a_at_end[predecessors.first()?.0]?;
        if predecessors.iter().any(|id| self.a_at_end[id.0] != Some(value)) {
            return None;
        }
        let shared = successor(graph, first, !along)?;
        let in_chain = |mover: &Self, id: BlockId| {
            successor(graph, id, !along) == Some(shared)
                && (id == first || mover.predecessors[id.0].len() == 1)
        };
        // The last block at the front that tests the value, and the first block that tests another one.
        let (mut last_same, mut other) = (None, first);
        while in_chain(self, other) && self.a_at_end[other.0] == Some(value) {
            last_same = Some(other);
            other = successor(graph, other, along)?;
        }
        if !in_chain(self, other) {
            return None;
        }
        let (mut passed, mut behind) = (self.writes[other.0], other);
        let mut pulled = successor(graph, other, along)?;
        while in_chain(self, pulled) && self.a_at_end[pulled.0] != Some(value) {
            passed |= self.writes[pulled.0];
            behind = pulled;
            pulled = successor(graph, pulled, along)?;
        }
        let next = successor(graph, pulled, along)?;
        let memory = !REGISTERS;
        let depends = self.reads[pulled.0] & (REGISTERS | passed & memory) != 0
            || self.writes[pulled.0] & memory != 0
            || (self.live[other.0] | self.live[next.0] | self.live[shared.0]) & REGISTERS != 0;
        if !in_chain(self, pulled) || depends {
            return None;
        }
        self.redirect(graph, behind, pulled, next);
        self.redirect(graph, pulled, next, other);
        match last_same {
            Some(same) => self.redirect(graph, same, other, pulled),
            None => predecessors.into_iter().for_each(|id| self.redirect(graph, id, first, pulled)),
        }
        Some(())
    }

    /// Replaces the successor `old` of `from` by `new`.
    fn redirect(&mut self, graph: &mut Graph, from: BlockId, old: BlockId, new: BlockId) {
        let Terminator::Branch { yes, no, .. } = &mut graph.blocks[from.0].terminator else { return };
        for target in [yes, no] {
            if *target == old {
                *target = new;
                self.predecessors[new.0].push(from);
                self.predecessors[old.0].retain(|id| *id != from);
            }
        }
    }
}

/// The successor of a block for an outcome, if its two successors differ.
fn successor(graph: &Graph, id: BlockId, outcome: bool) -> Option<BlockId> {
    match graph.block(id).terminator {
        Terminator::Branch { yes, no, .. } if yes != no => Some(if outcome { yes } else { no }),
        _ => None,
    }
}
