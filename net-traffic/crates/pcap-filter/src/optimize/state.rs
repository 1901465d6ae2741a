//! What is known at the entry of each block: register values, outcomes of tests, loads that were done.

use super::super::bpf::{self, Insn};
use super::super::graph::{BlockId, End, Graph};
use super::super::interpret;
use super::values::{Registers, Risk, Slot, Value, Values};

/// Knowledge is forgotten beyond so many facts, which bounds the work for very long programs.
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
    loaded: Vec<Value>,
}

impl State {
    /// Whether a statement with this risk cannot reject the packet here.
    pub(super) fn is_safe(&self, risk: Risk) -> bool {
        match risk {
            Risk::None => true,
            Risk::Load(value) => self.loaded.contains(&value),
            Risk::Unknown | Risk::Certain => false,
        }
    }

    /// Does a statement.
    pub(super) fn advance(&mut self, values: &mut Values, insn: Insn) {
        let step = values.step(&self.registers, insn);
        self.registers.set(step.slot, step.value);
        if let Risk::Load(value) = step.risk {
            self.loaded_now(value);
        }
    }

    fn loaded_now(&mut self, value: Value) {
        if !self.loaded.contains(&value) {
            self.loaded.push(value);
            if self.loaded.len() > MAX_FACTS {
                self.loaded.remove(0);
            }
        }
    }

    /// Forgets that a load was done.
    pub(super) fn not_loaded(&mut self, value: Value) {
        self.loaded.retain(|loaded| *loaded != value);
    }

    /// Where the outcome of a comparison is known, that.
    pub(super) fn outcome(&self, values: &Values, asked: Comparison) -> Option<bool> {
        let Comparison { op, left, right } = asked;
        if left == right && op != bpf::JSET {
            return Some(op != bpf::JGT);
        }
        self.outcome_by_equality(values, asked).or_else(|| {
            let right = values.as_constant(right)?;
            Range::new(values, &self.facts, left).outcome(op, right)
        })
    }

    /// Where the outcome is known because the same was asked before, or because the value is another constant.
    pub(super) fn outcome_by_equality(&self, values: &Values, asked: Comparison) -> Option<bool> {
        if let Some(fact) = self.facts.iter().find(|fact| fact.comparison == asked) {
            return Some(fact.outcome);
        }
        let is_other = |fact: &Fact| {
            let Comparison { op, left, right } = fact.comparison;
            fact.outcome && op == bpf::JEQ && left == asked.left && values.as_constant(right).is_some()
        };
        let unequal = asked.op == bpf::JEQ
            && values.as_constant(asked.right).is_some()
            && self.facts.iter().any(is_other);
        unequal.then_some(false)
    }

    /// The state behind a comparison with this outcome.
    pub(super) fn behind(&self, comparison: Comparison, outcome: bool) -> Self {
        let mut state = self.clone();
        state.facts.push(Fact { comparison, outcome });
        if state.facts.len() > MAX_FACTS {
            state.facts.remove(0);
        }
        state
    }

    /// What is known wherever it comes from.
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

/// What the facts leave possible for a value.
struct Range {
    least: u32,
    greatest: u32,
    excluded: Vec<u32>,
    clear_bits: u32,
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

/// The comparison that a branch makes with these registers.
pub(super) fn comparison(values: &mut Values, registers: &Registers, code: u16, k: u32) -> Comparison {
    let branch = Insn::stmt(code, k);
    let right = if branch.uses_x() { registers.x } else { values.constant(k) };
    Comparison { op: branch.op(), left: registers.a, right }
}

/// The state at the entry of every block that can be reached.
pub(super) fn analyze(graph: &Graph, values: &mut Values) -> Vec<Option<State>> {
    let mut states: Vec<Option<State>> = vec![None; graph.blocks.len()];
    let start = State { registers: values.at_start(), facts: Vec::new(), loaded: Vec::new() };
    let arrive =
        |states: &mut Vec<Option<State>>, values: &mut Values, id: BlockId, state: State| match &mut states
            [id.0]
        {
            Some(known) => known.meet(&state, values),
            unknown => *unknown = Some(state),
        };
    arrive(&mut states, values, graph.entry, start);
    for id in (0..graph.blocks.len()).rev() {
        let Some(mut state) = states[id].clone() else { continue };
        let block = graph.block(BlockId(id));
        for insn in &block.stmts {
            state.advance(values, *insn);
        }
        let End::Branch { code, k, yes, no } = block.end else { continue };
        let comparison = comparison(values, &state.registers, code, k);
        let outcome = state.outcome(values, comparison);
        if outcome != Some(false) {
            arrive(&mut states, values, yes, state.behind(comparison, true));
        }
        if outcome != Some(true) {
            arrive(&mut states, values, no, state.behind(comparison, false));
        }
    }
    states
}
