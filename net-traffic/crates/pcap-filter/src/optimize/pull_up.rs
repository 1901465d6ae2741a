//! Brings tests of the same value together: `src a or dst a or src b` becomes `src a or src b or dst a`, and the second
//! load of the source can go. libpcap does the same, and so changes which short packets a load rejects.
//!
//! A chain is a run of blocks that share one way out; the other way leads to the next block. Within a chain the order is
//! free, as far as no block reads what another one has written.

use super::super::graph::{BlockId, End, Graph};
use super::simplify::{needed_by, needed_by_end, written_by};
use super::state::analyze;
use super::values::{Value, Values};

pub(super) fn pull_up(graph: &mut Graph) {
    let mut mover = Mover::new(graph);
    for id in graph.order() {
        for along in [false, true] {
            while mover.pull_before(graph, id, along).is_some() {}
        }
    }
    graph.renumber();
}

struct Mover {
    /// What A holds at the end of each block.
    at_end: Vec<Option<Value>>,
    /// What each block reads that it did not write itself.
    reads: Vec<u32>,
    writes: Vec<u32>,
    /// What is needed at the entry of each block, by it or by those behind it.
    needed: Vec<u32>,
    /// The blocks that lead to each block; twice, where both ways do.
    before: Vec<Vec<BlockId>>,
}

impl Mover {
    fn new(graph: &Graph) -> Self {
        let count = graph.blocks.len();
        let mut values = Values::default();
        let states = analyze(graph, &mut values);
        let mut mover = Self {
            at_end: vec![None; count],
            reads: vec![0; count],
            writes: vec![0; count],
            needed: vec![0; count],
            before: vec![Vec::new(); count],
        };
        for (id, (block, state)) in graph.blocks.iter().zip(states).enumerate() {
            if let Some(mut state) = state {
                block.stmts.iter().for_each(|insn| state.advance(&mut values, *insn));
                mover.at_end[id] = Some(state.registers.a);
            }
            let entry = |at_end: u32| {
                block
                    .stmts
                    .iter()
                    .rev()
                    .fold(at_end, |needed, insn| needed & !written_by(*insn).bit() | needed_by(*insn))
            };
            mover.writes[id] = block.stmts.iter().fold(0, |writes, insn| writes | written_by(*insn).bit());
            mover.reads[id] = entry(needed_by_end(block.end));
            mover.needed[id] = mover.reads[id];
            // A way that is never gone is a way, too: what it leads to must not move.
            if let End::Branch { yes, no, .. } = block.end {
                mover.needed[id] |= entry(mover.needed[yes.0] | mover.needed[no.0]);
                mover.before[yes.0].push(BlockId(id));
                mover.before[no.0].push(BlockId(id));
            }
        }
        mover
    }

    /// Moves one block of the chain that begins with `first` to the front, or behind those like it that are there, where
    /// it tests the value that all blocks before `first` leave in A. `along` is the way from block to block.
    fn pull_before(&mut self, graph: &mut Graph, first: BlockId, along: bool) -> Option<()> {
        const REGISTERS: u32 = 0b11;
        let before = self.before[first.0].clone();
        let value = self.at_end[before.first()?.0]?;
        if before.iter().any(|id| self.at_end[id.0] != Some(value)) {
            return None;
        }
        let shared = way(graph, first, !along)?;
        let in_chain = |mover: &Self, id: BlockId| {
            way(graph, id, !along) == Some(shared) && (id == first || mover.before[id.0].len() == 1)
        };
        // The last of those at the front that test the value, and the first that tests another one.
        let (mut last_same, mut other) = (None, first);
        while in_chain(self, other) && self.at_end[other.0] == Some(value) {
            last_same = Some(other);
            other = way(graph, other, along)?;
        }
        if !in_chain(self, other) {
            return None;
        }
        let (mut passed, mut behind) = (self.writes[other.0], other);
        let mut pulled = way(graph, other, along)?;
        while in_chain(self, pulled) && self.at_end[pulled.0] != Some(value) {
            passed |= self.writes[pulled.0];
            behind = pulled;
            pulled = way(graph, pulled, along)?;
        }
        let next = way(graph, pulled, along)?;
        let memory = !REGISTERS;
        let depends = self.reads[pulled.0] & (REGISTERS | passed & memory) != 0
            || self.writes[pulled.0] & memory != 0
            || (self.needed[other.0] | self.needed[next.0] | self.needed[shared.0]) & REGISTERS != 0;
        if !in_chain(self, pulled) || depends {
            return None;
        }
        self.lead(graph, behind, pulled, next);
        self.lead(graph, pulled, next, other);
        match last_same {
            Some(same) => self.lead(graph, same, other, pulled),
            None => before.into_iter().for_each(|id| self.lead(graph, id, first, pulled)),
        }
        Some(())
    }

    /// Lets `from` lead to `new` where it led to `old`.
    fn lead(&mut self, graph: &mut Graph, from: BlockId, old: BlockId, new: BlockId) {
        let End::Branch { yes, no, .. } = &mut graph.blocks[from.0].end else { return };
        for target in [yes, no] {
            if *target == old {
                *target = new;
                self.before[new.0].push(from);
                self.before[old.0].retain(|id| *id != from);
            }
        }
    }
}

/// Where one way out of a block leads.
fn way(graph: &Graph, id: BlockId, outcome: bool) -> Option<BlockId> {
    match graph.block(id).end {
        End::Branch { yes, no, .. } if yes != no => Some(if outcome { yes } else { no }),
        _ => None,
    }
}
