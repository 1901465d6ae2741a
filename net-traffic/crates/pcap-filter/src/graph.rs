//! A program as a graph of basic blocks, without cycles. The loop of `protochain` is inside one block.

use super::bpf::{self, Insn};
use super::generate::Generated;
use super::generate::condition::{CondId, Condition, Conditions};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct BlockId(pub(super) usize);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Block {
    pub(super) stmts: Vec<Insn>,
    pub(super) terminator: Terminator,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Terminator {
    Return(u32),
    /// A conditional jump: its code, its constant and its successors.
    Branch {
        code: u16,
        k: u32,
        yes: BlockId,
        no: BlockId,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Graph {
    /// In reverse topological order: the successors of a block precede it.
    pub(super) blocks: Vec<Block>,
    pub(super) entry: BlockId,
}

impl Graph {
    /// A graph that returns `accept` for packets that fulfil the conditions, and 0 for the others.
    pub(super) fn new(generated: &Generated, accept: u32) -> Self {
        let mut graph = Self { blocks: Vec::new(), entry: BlockId(0) };
        let yes = graph.add(Block { stmts: Vec::new(), terminator: Terminator::Return(accept) });
        let no = graph.add(Block { stmts: Vec::new(), terminator: Terminator::Return(0) });
        graph.entry = graph.branches(&generated.conditions, generated.root, yes, no);
        if let Some(entry) = graph.blocks.get_mut(graph.entry.0) {
            entry.stmts.splice(0..0, generated.prelude.iter().copied());
        }
        graph
    }

    pub(super) fn block(&self, id: BlockId) -> &Block {
        &self.blocks[id.0]
    }

    /// Adds the blocks of a condition, and returns their entry. The recursion is as deep as the expression nests.
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
                    let terminator = Terminator::Branch { code: test.code, k: test.k, yes, no };
                    return self.add(Block { stmts: test.stmts.clone(), terminator });
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

    /// The reachable blocks in topological order: a block precedes its successors.
    pub(super) fn topological_order(&self) -> Vec<BlockId> {
        let mut reached = vec![false; self.blocks.len()];
        let mut finished = Vec::new();
        // Depth-first search without recursion: each block is popped twice, on entry and on exit.
        let mut pending = vec![(self.entry, false)];
        while let Some((id, entered)) = pending.pop() {
            if entered {
                finished.push(id);
            } else if !std::mem::replace(&mut reached[id.0], true) {
                pending.push((id, true));
                if let Terminator::Branch { yes, no, .. } = self.block(id).terminator {
                    // `no` is pushed last, finishes first, and so is last in the program.
                    pending.extend([(yes, false), (no, false)]);
                }
            }
        }
        finished.reverse();
        finished
    }

    /// Removes unreachable blocks and restores the order of `blocks`.
    pub(super) fn renumber(&mut self) {
        let mut order = self.topological_order();
        order.reverse();
        let mut new_ids = vec![BlockId(0); self.blocks.len()];
        let mut blocks = Vec::with_capacity(order.len());
        for id in order {
            new_ids[id.0] = BlockId(blocks.len());
            let mut block = self.block(id).clone();
            if let Terminator::Branch { yes, no, .. } = &mut block.terminator {
                (*yes, *no) = (new_ids[yes.0], new_ids[no.0]);
            }
            blocks.push(block);
        }
        self.entry = new_ids[self.entry.0];
        self.blocks = blocks;
    }

    /// The program. Conditional jumps have 8-bit distances; a longer one leads to an unconditional jump.
    pub(super) fn layout(&self) -> Vec<Insn> {
        let order = self.topological_order();
        // From the end, so that the distance to each successor is known.
        let mut reversed: Vec<Insn> = Vec::new();
        let mut end_of = vec![0; self.blocks.len()];
        for id in order.into_iter().rev() {
            let block = self.block(id);
            match block.terminator {
                Terminator::Return(value) => reversed.push(Insn::stmt(bpf::RET | bpf::K, value)),
                Terminator::Branch { code, k, yes, no } => {
                    // The number of instructions between the jump and its target.
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

/// A conditional jump over so many instructions, followed by unconditional jumps for distances of more than 8 bits.
fn branch(code: u16, k: u32, to_yes: usize, to_no: usize) -> Vec<Insn> {
    const NEAR: usize = u8::MAX as usize;
    let ja = |distance: usize| Insn::stmt(bpf::JMP | bpf::JA, u32::try_from(distance).unwrap_or(u32::MAX));
    let near = |distance: usize| u8::try_from(distance).unwrap_or(u8::MAX);
    // An unconditional jump makes the other distance longer by one.
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
    fn far_jump_reaches_its_target() {
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
