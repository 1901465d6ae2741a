//! Data-flow analysis: what is known at the entry of each block. A state has the register values, the outcomes of
//! earlier comparisons, and the loads that have succeeded.

use super::super::bpf::{self, Insn};
use super::super::graph::{BlockId, Graph, Terminator};
use super::super::interpret;
use super::values::{Registers, Risk, Slot, Value, Values};

/// The maximum number of facts, and of loads. Beyond it the oldest is dropped: this bounds the time for long programs.
const MAX_FACTS: usize = 64;

/// The outcome of a comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fact {
    comparison: Comparison,
    outcome: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Comparison {
    op: u16,
    left: Value,
    right: Value,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct State {
    pub(super) registers: Registers,
    facts: Vec<Fact>,
    /// The loads that have succeeded on every path to this state. They cannot fail again.
    loaded: Vec<Value>,
}

impl State {
    /// Whether a statement with this risk succeeds here. A load or a division that fails rejects the packet.
    pub(super) fn is_safe(&self, risk: Risk) -> bool {
        match risk {
            Risk::None => true,
            Risk::Load(value) => self.loaded.contains(&value),
            Risk::Unknown | Risk::Certain => false,
        }
    }

    /// Applies the effect of a statement.
    pub(super) fn advance(&mut self, values: &mut Values, insn: Insn) {
        let step = values.step(&self.registers, insn);
        self.registers.set(step.slot, step.value);
        if let Risk::Load(value) = step.risk {
            self.add_load(value);
        }
    }

    fn add_load(&mut self, value: Value) {
        if !self.loaded.contains(&value) {
            self.loaded.push(value);
            if self.loaded.len() > MAX_FACTS {
                self.loaded.remove(0);
            }
        }
    }

    /// Drops a load from the state: the statement that loads may be removed.
    pub(super) fn remove_load(&mut self, value: Value) {
        self.loaded.retain(|loaded| *loaded != value);
    }

    /// The outcome of a comparison, if it is known.
    pub(super) fn outcome(&self, values: &Values, wanted: Comparison) -> Option<bool> {
        let Comparison { op, left, right } = wanted;
        if left == right && op != bpf::JSET {
            return Some(op != bpf::JGT);
        }
        self.outcome_by_equality(values, wanted).or_else(|| {
            let right = values.as_constant(right)?;
            Range::new(values, &self.facts, left).outcome(op, right)
        })
    }

    /// The outcome, if an earlier comparison was the same, or if `left` is known to equal another constant.
    pub(super) fn outcome_by_equality(&self, values: &Values, wanted: Comparison) -> Option<bool> {
        if let Some(fact) = self.facts.iter().find(|fact| fact.comparison == wanted) {
            return Some(fact.outcome);
        }
        let equals_other_constant = |fact: &Fact| {
            let Comparison { op, left, right } = fact.comparison;
            fact.outcome && op == bpf::JEQ && left == wanted.left && values.as_constant(right).is_some()
        };
        let unequal = wanted.op == bpf::JEQ
            && values.as_constant(wanted.right).is_some()
            && self.facts.iter().any(equals_other_constant);
        unequal.then_some(false)
    }

    /// The state after a branch whose comparison has this outcome.
    pub(super) fn after(&self, comparison: Comparison, outcome: bool) -> Self {
        let mut state = self.clone();
        state.facts.push(Fact { comparison, outcome });
        if state.facts.len() > MAX_FACTS {
            state.facts.remove(0);
        }
        state
    }

    /// The meet of the data-flow analysis: keeps what both states have in common.
    fn meet(&mut self, other: &Self, values: &mut Values) {
        for slot in Slot::all() {
            if self.registers.get(slot) != other.registers.get(slot) {
                let unknown = values.unknown();
                self.registers.set(slot, unknown);
            }
        }
        self.facts.retain(|fact| other.facts.contains(fact));
        self.loaded.retain(|value| other.loaded.contains(value));
    }
}

/// The constraints that the facts put on one value.
struct Range {
    least: u32,
    greatest: u32,
    excluded: Vec<u32>,
    /// Bits that are zero.
    clear_bits: u32,
    /// Masks of which at least one bit is set.
    set_any: Vec<u32>,
}

impl Range {
    fn new(values: &Values, facts: &[Fact], value: Value) -> Self {
        let (least, greatest) = values.bounds(value);
        let mut range = Self { least, greatest, excluded: Vec::new(), clear_bits: 0, set_any: Vec::new() };
        for fact in facts.iter().filter(|fact| fact.comparison.left == value) {
            let Some(k) = values.as_constant(fact.comparison.right) else { continue };
            match (fact.comparison.op, fact.outcome) {
                (bpf::JEQ, true) => (range.least, range.greatest) = (k, k),
                (bpf::JEQ, false) => range.excluded.push(k),
                (bpf::JGT, true) => range.least = range.least.max(k.saturating_add(1)),
                (bpf::JGT, false) => range.greatest = range.greatest.min(k),
                (bpf::JGE, true) => range.least = range.least.max(k),
                (bpf::JGE, false) => range.greatest = range.greatest.min(k.saturating_sub(1)),
                (bpf::JSET, true) => range.set_any.push(k),
                (_, false) => range.clear_bits |= k,
                _ => {}
            }
        }
        range
    }

    fn outcome(&self, op: u16, k: u32) -> Option<bool> {
        if self.least == self.greatest {
            return interpret::compare(op, self.least, k);
        }
        match op {
            bpf::JEQ if k < self.least || k > self.greatest || self.excluded.contains(&k) => Some(false),
            bpf::JGT if self.least > k => Some(true),
            bpf::JGT if self.greatest <= k => Some(false),
            bpf::JGE if self.least >= k => Some(true),
            bpf::JGE if self.greatest < k => Some(false),
            bpf::JSET if k & !self.clear_bits == 0 => Some(false),
            bpf::JSET if self.set_any.iter().any(|set| set & !k == 0) => Some(true),
            _ => None,
        }
    }
}

/// The comparison that a branch with this code makes on these registers.
pub(super) fn comparison(values: &mut Values, registers: &Registers, code: u16, k: u32) -> Comparison {
    let branch = Insn::stmt(code, k);
    let right = if branch.uses_x() { registers.x } else { values.constant(k) };
    Comparison { op: branch.op(), left: registers.a, right }
}

/// The state at the entry of each reachable block.
pub(super) fn analyze(graph: &Graph, values: &mut Values) -> Vec<Option<State>> {
    let mut states: Vec<Option<State>> = vec![None; graph.blocks.len()];
    let start = State { registers: values.entry_registers(), facts: Vec::new(), loaded: Vec::new() };
    let propagate =
        |states: &mut Vec<Option<State>>, values: &mut Values, id: BlockId, state: State| match &mut states
            [id.0]
        {
            Some(known) => known.meet(&state, values),
            unknown => *unknown = Some(state),
        };
    propagate(&mut states, values, graph.entry, start);
    // In topological order: the index of a block is higher than those of its successors.
    for id in (0..graph.blocks.len()).rev() {
        let Some(mut state) = states[id].clone() else { continue };
        let block = graph.block(BlockId(id));
        for insn in &block.stmts {
            state.advance(values, *insn);
        }
        let Terminator::Branch { code, k, yes, no } = block.terminator else { continue };
        let comparison = comparison(values, &state.registers, code, k);
        let outcome = state.outcome(values, comparison);
        if outcome != Some(false) {
            propagate(&mut states, values, yes, state.after(comparison, true));
        }
        if outcome != Some(true) {
            propagate(&mut states, values, no, state.after(comparison, false));
        }
    }
    states
}
