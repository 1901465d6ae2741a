//! Rewrites blocks with what is known, and drops what nothing needs.

use super::super::bpf::{self, Insn};
use super::super::graph::{Block, BlockId, End, Graph};
use super::state::{State, analyze, comparison};
use super::values::{Registers, Risk, Slot, Values};

/// A statement, and whether it may be dropped when nothing needs its result.
struct Rewritten {
    insn: Insn,
    droppable: bool,
}

pub(super) fn simplify(graph: &mut Graph) {
    let mut values = Values::default();
    let states = analyze(graph, &mut values);
    let mut needed = vec![0; graph.blocks.len()];
    for id in 0..graph.blocks.len() {
        let Some(state) = &states[id] else { continue };
        let block = graph.block(BlockId(id));
        let (stmts, end) = rewrite(block, state.clone(), &mut values);
        let behind = match end {
            End::Return(_) => 0,
            End::Branch { yes, no, .. } => needed[yes.0] | needed[no.0],
        };
        let (block, at_entry) = drop_unneeded(stmts, end, behind);
        needed[id] = at_entry;
        graph.blocks[id] = block;
    }
}

/// The block with known values put in.
fn rewrite(block: &Block, mut state: State, values: &mut Values) -> (Vec<Rewritten>, End) {
    let mut stmts: Vec<Rewritten> = Vec::new();
    for insn in &block.stmts {
        let step = values.step(&state.registers, *insn);
        if step.risk == Risk::Certain {
            return (Vec::new(), End::Return(0));
        }
        if state.registers.get(step.slot) == step.value {
            continue;
        }
        let rewritten = rewrite_insn(*insn, &state.registers, values);
        let hides = insn.class() == bpf::ALU && values.as_constant(step.value) == Some(0);
        if hides && let Some(before) = stmts.last_mut().filter(|before| is_fixed_load(before.insn)) {
            // What the mask hides need not be loaded.
            before.droppable = true;
            state.not_loaded(state.registers.a);
        }
        stmts.push(Rewritten { insn: rewritten, droppable: state.is_safe(step.risk) });
        state.advance(values, *insn);
    }
    let End::Branch { mut code, mut k, mut yes, mut no } = block.end else { return (stmts, block.end) };
    let comparison = comparison(values, &state.registers, code, k);
    match state.outcome(values, comparison) {
        Some(true) => no = yes,
        Some(false) => yes = no,
        None => {}
    }
    if let Some(x) = values.as_constant(state.registers.x).filter(|_| code & bpf::X != 0) {
        (code, k) = (code & !bpf::X, x);
    }
    (stmts, End::Branch { code, k, yes, no })
}

/// Whether a statement loads from a fixed offset. Where X moves the offset, libpcap keeps the load.
fn is_fixed_load(insn: Insn) -> bool {
    insn.class() == bpf::LD && insn.mode() == bpf::ABS
}

/// The cheapest statement that does the same.
fn rewrite_insn(insn: Insn, registers: &Registers, values: &mut Values) -> Insn {
    let step = values.step(registers, insn);
    let constant = values.as_constant(step.value);
    let from_memory = insn.mode() == bpf::MEM;
    match (insn.class(), step.slot, constant) {
        (bpf::LD | bpf::ALU | bpf::MISC, Slot::A, Some(constant)) => Insn::stmt(bpf::LD | bpf::IMM, constant),
        (bpf::LDX | bpf::MISC, Slot::X, Some(constant)) => Insn::stmt(bpf::LDX | bpf::IMM, constant),
        (bpf::LD, ..) if from_memory && registers.x == step.value => Insn::stmt(bpf::MISC | bpf::TXA, 0),
        (bpf::LDX, ..) if from_memory && registers.a == step.value => Insn::stmt(bpf::MISC | bpf::TAX, 0),
        (bpf::LD, ..) if insn.mode() == bpf::IND => match values.as_octets(step.value) {
            Some(at) => Insn::stmt(bpf::LD | bpf::ABS | insn.size(), at),
            None => insn,
        },
        (bpf::ALU, ..) if insn.uses_x() => match values.as_constant(registers.x) {
            Some(x) => Insn::stmt(insn.code & !bpf::X, x),
            None => insn,
        },
        _ => insn,
    }
}

/// The block without what nobody needs, and the slots that it needs itself. `behind` are those needed after it.
fn drop_unneeded(stmts: Vec<Rewritten>, mut end: End, behind: u32) -> (Block, u32) {
    let mut stmts = stmts;
    fuse(&mut stmts, &mut end, behind);
    let mut needed = behind | needed_by_end(end);
    let mut kept = Vec::new();
    for Rewritten { insn, droppable } in stmts.into_iter().rev() {
        let written = written_by(insn).bit();
        if droppable && needed & written == 0 {
            continue;
        }
        needed = needed & !written | needed_by(insn);
        kept.push(insn);
    }
    kept.reverse();
    (Block { stmts: kept, end }, needed)
}

/// Lets the jump do the last subtraction or mask, where nobody needs its result.
fn fuse(stmts: &mut Vec<Rewritten>, end: &mut End, behind: u32) {
    const SUB_K: u16 = bpf::ALU | bpf::SUB | bpf::K;
    const SUB_X: u16 = bpf::ALU | bpf::SUB | bpf::X;
    const AND_K: u16 = bpf::ALU | bpf::AND | bpf::K;
    let (Some(last), End::Branch { code, k, yes, no }) = (stmts.last(), &mut *end) else { return };
    if behind & Slot::A.bit() != 0 || *code != bpf::JMP | bpf::JEQ | bpf::K {
        return;
    }
    match last.insn.code {
        SUB_K => *k = k.wrapping_add(last.insn.k),
        SUB_X if *k == 0 => *code = bpf::JMP | bpf::JEQ | bpf::X,
        AND_K if *k == 0 => {
            (*code, *k) = (bpf::JMP | bpf::JSET | bpf::K, last.insn.k);
            std::mem::swap(yes, no);
        }
        _ => return,
    }
    stmts.pop();
}

/// The slots that a jump reads. One whose ways are the same reads none.
pub(super) fn needed_by_end(end: End) -> u32 {
    match end {
        End::Branch { code, yes, no, .. } if yes != no => {
            Slot::A.bit() | if code & bpf::X != 0 { Slot::X.bit() } else { 0 }
        }
        _ => 0,
    }
}

pub(super) fn needed_by(insn: Insn) -> u32 {
    let word = Slot::Memory(insn.k as usize % bpf::MEMORY_WORDS).bit();
    match insn.class() {
        bpf::LD | bpf::LDX => match insn.mode() {
            bpf::MEM => word,
            bpf::IND => Slot::X.bit(),
            _ => 0,
        },
        bpf::STX => Slot::X.bit(),
        bpf::ALU if insn.uses_x() && insn.op() != bpf::NEG => Slot::A.bit() | Slot::X.bit(),
        bpf::MISC if insn.code & 0xf8 == bpf::TXA => Slot::X.bit(),
        // Calculations with constants, stores and copies of A.
        _ => Slot::A.bit(),
    }
}

pub(super) fn written_by(insn: Insn) -> Slot {
    match insn.class() {
        bpf::LDX => Slot::X,
        bpf::ST | bpf::STX => Slot::Memory(insn.k as usize % bpf::MEMORY_WORDS),
        bpf::MISC if insn.code & 0xf8 == bpf::TAX => Slot::X,
        _ => Slot::A,
    }
}
