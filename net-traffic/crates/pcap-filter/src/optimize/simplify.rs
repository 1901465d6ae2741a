//! Rewrites statements by the known values, and removes dead statements.

use super::super::bpf::{self, Insn};
use super::super::graph::{Block, BlockId, Graph, Terminator};
use super::state::{State, analyze, comparison};
use super::values::{Registers, Risk, Slot, Values};

/// A statement, and whether it may be removed if its result is dead.
struct Rewritten {
    insn: Insn,
    droppable: bool,
}

pub(super) fn simplify(graph: &mut Graph) {
    let mut values = Values::default();
    let states = analyze(graph, &mut values);
    let mut live = vec![0; graph.blocks.len()];
    for id in 0..graph.blocks.len() {
        let Some(state) = &states[id] else { continue };
        let block = graph.block(BlockId(id));
        let (stmts, terminator) = rewrite(block, state.clone(), &mut values);
        let live_out = match terminator {
            Terminator::Return(_) => 0,
            Terminator::Branch { yes, no, .. } => live[yes.0] | live[no.0],
        };
        let (block, at_entry) = remove_dead(stmts, terminator, live_out);
        live[id] = at_entry;
        graph.blocks[id] = block;
    }
}

/// The block's statements and terminator, rewritten by the known values.
fn rewrite(block: &Block, mut state: State, values: &mut Values) -> (Vec<Rewritten>, Terminator) {
    let mut stmts: Vec<Rewritten> = Vec::new();
    for insn in &block.stmts {
        let step = values.step(&state.registers, *insn);
        if step.risk == Risk::Certain {
            return (Vec::new(), Terminator::Return(0));
        }
        if state.registers.get(step.slot) == step.value {
            continue;
        }
        let rewritten = rewrite_insn(*insn, &state.registers, values);
        let hides = insn.class() == bpf::ALU && values.as_constant(step.value) == Some(0);
        if hides && let Some(before) = stmts.last_mut().filter(|before| is_fixed_load(before.insn)) {
            // The loaded value has no effect on the result.
            before.droppable = true;
            state.remove_load(state.registers.a);
        }
        stmts.push(Rewritten { insn: rewritten, droppable: state.is_safe(step.risk) });
        state.advance(values, *insn);
    }
    let Terminator::Branch { mut code, mut k, mut yes, mut no } = block.terminator else {
        return (stmts, block.terminator);
    };
    let comparison = comparison(values, &state.registers, code, k);
    match state.outcome(values, comparison) {
        Some(true) => no = yes,
        Some(false) => yes = no,
        None => {}
    }
    if let Some(x) = values.as_constant(state.registers.x).filter(|_| code & bpf::X != 0) {
        (code, k) = (code & !bpf::X, x);
    }
    (stmts, Terminator::Branch { code, k, yes, no })
}

/// Whether a statement loads from a fixed offset. libpcap keeps a load whose offset depends on X.
fn is_fixed_load(insn: Insn) -> bool {
    insn.class() == bpf::LD && insn.mode() == bpf::ABS
}

/// The cheapest statement with the same effect.
fn rewrite_insn(insn: Insn, registers: &Registers, values: &mut Values) -> Insn {
    let step = values.step(registers, insn);
    let constant = values.as_constant(step.value);
    let from_memory = insn.mode() == bpf::MEM;
    match (insn.class(), step.slot, constant) {
        (bpf::LD | bpf::ALU | bpf::MISC, Slot::A, Some(constant)) => Insn::stmt(bpf::LD | bpf::IMM, constant),
        (bpf::LDX | bpf::MISC, Slot::X, Some(constant)) => Insn::stmt(bpf::LDX | bpf::IMM, constant),
        (bpf::LD, ..) if from_memory && registers.x == step.value => Insn::stmt(bpf::MISC | bpf::TXA, 0),
        (bpf::LDX, ..) if from_memory && registers.a == step.value => Insn::stmt(bpf::MISC | bpf::TAX, 0),
        (bpf::LD, ..) if insn.mode() == bpf::IND => match values.load_offset(step.value) {
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

/// The block without dead statements, and the slots that are live at its entry. `live_out`: those live at its end.
fn remove_dead(mut stmts: Vec<Rewritten>, mut terminator: Terminator, live_out: u32) -> (Block, u32) {
    fuse(&mut stmts, &mut terminator, live_out);
    let mut live = live_out | terminator_uses(terminator);
    let mut kept = Vec::new();
    for Rewritten { insn, droppable } in stmts.into_iter().rev() {
        let written = defines(insn).bit();
        if droppable && live & written == 0 {
            continue;
        }
        live = live & !written | uses(insn);
        kept.push(insn);
    }
    kept.reverse();
    (Block { stmts: kept, terminator }, live)
}

/// Moves the last subtraction or mask into the jump, if its result is dead after the jump.
fn fuse(stmts: &mut Vec<Rewritten>, terminator: &mut Terminator, live_out: u32) {
    const SUB_K: u16 = bpf::ALU | bpf::SUB | bpf::K;
    const SUB_X: u16 = bpf::ALU | bpf::SUB | bpf::X;
    const AND_K: u16 = bpf::ALU | bpf::AND | bpf::K;
    let (Some(last), Terminator::Branch { code, k, yes, no }) = (stmts.last(), &mut *terminator) else {
        return;
    };
    if live_out & Slot::A.bit() != 0 || *code != bpf::JMP | bpf::JEQ | bpf::K {
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

/// The slots that a terminator reads. A jump with equal successors reads none.
pub(super) fn terminator_uses(terminator: Terminator) -> u32 {
    match terminator {
        Terminator::Branch { code, yes, no, .. } if yes != no => {
            Slot::A.bit() | if code & bpf::X != 0 { Slot::X.bit() } else { 0 }
        }
        _ => 0,
    }
}

/// The slots that a statement reads.
pub(super) fn uses(insn: Insn) -> u32 {
    let word = Slot::Memory(insn.k as usize % bpf::MEMORY_WORDS).bit();
    match insn.class() {
        bpf::LD | bpf::LDX => match insn.mode() {
            bpf::MEM => word,
            bpf::IND => Slot::X.bit(),
            _ => 0,
        },
        bpf::STX => Slot::X.bit(),
        bpf::ALU if insn.uses_x() && insn.op() != bpf::NEG => Slot::A.bit() | Slot::X.bit(),
        bpf::MISC if insn.copies_to_a() => Slot::X.bit(),
        // Arithmetic with a constant, stores and copies of A.
        _ => Slot::A.bit(),
    }
}

/// The slot that a statement writes.
pub(super) fn defines(insn: Insn) -> Slot {
    match insn.class() {
        bpf::LDX => Slot::X,
        bpf::ST | bpf::STX => Slot::Memory(insn.k as usize % bpf::MEMORY_WORDS),
        bpf::MISC if !insn.copies_to_a() => Slot::X,
        _ => Slot::A,
    }
}
