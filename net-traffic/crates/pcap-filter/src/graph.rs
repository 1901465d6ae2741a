//! A program as blocks that end in a two-way jump or a return. Without `protochain` it has no loops between blocks, and
//! never any that the jumps at the ends of blocks make.

use super::bpf::{self, Insn};
use super::generate::Generated;
use super::generate::condition::{CondId, Condition, Conditions};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BlockId(pub(super) usize);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Block {
    pub(super) stmts: Vec<Insn>,
    pub(super) end: End,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum End {
    Return(u32),
    /// A conditional jump's code and constant, and where it leads.
    Branch {
        code: u16,
        k: u32,
        yes: BlockId,
        no: BlockId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    /// Every block stands behind those that its end leads to.
    pub(super) blocks: Vec<Block>,
    pub(super) entry: BlockId,
}

impl Graph {
    /// A graph that returns `accept` where the conditions hold, and 0 elsewhere.
    pub(super) fn new(generated: &Generated, accept: u32) -> Self {
        let mut graph = Self { blocks: Vec::new(), entry: BlockId(0) };
        let yes = graph.add(Block { stmts: Vec::new(), end: End::Return(accept) });
        let no = graph.add(Block { stmts: Vec::new(), end: End::Return(0) });
        graph.entry = graph.branches(&generated.conditions, generated.root, yes, no);
        if let Some(entry) = graph.blocks.get_mut(graph.entry.0) {
            entry.stmts.splice(0..0, generated.prelude.iter().copied());
        }
        graph
    }

    pub(super) fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0]
    }

    /// Adds the blocks of a condition, and returns the first of them. Recurses as deep as the source nests.
    fn branches(
        &mut self,
        conditions: &Conditions,
        mut id: CondId,
        mut yes: BlockId,
        mut no: BlockId,
    ) -> BlockId {
        loop {
            id = match conditions.get(id) {
                Condition::Test(test) => {
                    let end = End::Branch { code: test.code, k: test.k, yes, no };
                    return self.add(Block { stmts: test.stmts.clone(), end });
                }
                Condition::Not(inner) => {
                    (yes, no) = (no, yes);
                    *inner
                }
                Condition::And(first, second) => {
                    yes = self.branches(conditions, *second, yes, no);
                    *first
                }
                Condition::Or(first, second) => {
                    no = self.branches(conditions, *second, yes, no);
                    *first
                }
            };
        }
    }

    pub(super) fn add(&mut self, block: Block) -> BlockId {
        self.blocks.push(block);
        BlockId(self.blocks.len() - 1)
    }

    /// The blocks that can be reached, each before those that it leads to.
    pub(super) fn order(&self) -> Vec<BlockId> {
        let mut reached = vec![false; self.blocks.len()];
        let mut finished = Vec::new();
        // Depth first without recursion: a block comes up twice, to be entered and to be left.
        let mut pending = vec![(self.entry, false)];
        while let Some((id, entered)) = pending.pop() {
            if entered {
                finished.push(id);
            } else if !std::mem::replace(&mut reached[id.0], true) {
                pending.push((id, true));
                if let End::Branch { yes, no, .. } = self.block(id).end {
                    // The last one pushed is finished first, and so stands last in the program.
                    pending.extend([(yes, false), (no, false)]);
                }
            }
        }
        finished.reverse();
        finished
    }

    /// Drops the blocks that cannot be reached, and puts each behind those that it leads to.
    pub(super) fn renumber(&mut self) {
        let mut order = self.order();
        order.reverse();
        let mut new_ids = vec![BlockId(0); self.blocks.len()];
        let mut blocks = Vec::with_capacity(order.len());
        for id in order {
            new_ids[id.0] = BlockId(blocks.len());
            let mut block = self.block(id).clone();
            if let End::Branch { yes, no, .. } = &mut block.end {
                (*yes, *no) = (new_ids[yes.0], new_ids[no.0]);
            }
            blocks.push(block);
        }
        self.entry = new_ids[self.entry.0];
        self.blocks = blocks;
    }

    /// The program. A jump too far for eight bits goes over an unconditional one.
    pub(super) fn layout(&self) -> Vec<Insn> {
        let order = self.order();
        // From the end, so that the distances forward are known.
        let mut reversed: Vec<Insn> = Vec::new();
        let mut end_of = vec![0; self.blocks.len()];
        for id in order.into_iter().rev() {
            let block = self.block(id);
            match block.end {
                End::Return(value) => reversed.push(Insn::stmt(bpf::RET | bpf::K, value)),
                End::Branch { code, k, yes, no } => {
                    // How many instructions lie between the jump and its target.
                    let to_yes = reversed.len() - end_of[yes.0];
                    let to_no = reversed.len() - end_of[no.0];
                    reversed.extend(branch(code, k, to_yes, to_no).into_iter().rev());
                }
            }
            reversed.extend(block.stmts.iter().rev());
            end_of[id.0] = reversed.len();
        }
        reversed.reverse();
        reversed
    }
}

/// A conditional jump over so many instructions, with unconditional ones behind it where eight bits are too few.
fn branch(code: u16, k: u32, to_yes: usize, to_no: usize) -> Vec<Insn> {
    const NEAR: usize = u8::MAX as usize;
    let ja = |distance: usize| Insn::stmt(bpf::JMP | bpf::JA, u32::try_from(distance).unwrap_or(u32::MAX));
    let near = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
    // An unconditional jump in between makes the other way one longer.
    let far_no = to_no > NEAR - 1;
    let far_yes = to_yes + usize::from(far_no) > NEAR;
    match (far_yes, far_no) {
        (false, false) => vec![Insn::jump(code, k, near(to_yes), near(to_no))],
        (true, false) => vec![Insn::jump(code, k, 0, near(to_no + 1)), ja(to_yes)],
        (false, true) => vec![Insn::jump(code, k, near(to_yes + 1), 0), ja(to_no)],
        (true, true) => vec![Insn::jump(code, k, 0, 1), ja(to_yes + 1), ja(to_no)],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn far_jumps_reach_as_far_as_near_ones() {
        for (to_yes, to_no) in [(0, 300), (300, 0), (255, 255), (254, 254), (300, 400), (255, 254)] {
            let insns = branch(bpf::JMP | bpf::JEQ, 1, to_yes, to_no);
            let target = |first: u8| {
                let at = 1 + usize::from(first);
                match insns.get(at) {
                    Some(ja) => at + 1 + ja.k as usize,
                    None => at,
                }
            };
            assert_eq!(target(insns[0].jt), insns.len() + to_yes, "{to_yes} {to_no}");
            assert_eq!(target(insns[0].jf), insns.len() + to_no, "{to_yes} {to_no}");
        }
    }
}
