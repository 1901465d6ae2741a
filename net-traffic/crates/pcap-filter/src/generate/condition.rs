//! The tree of tests. Its nodes are in one vector, so that dropping a long chain does not recurse.

use super::super::bpf::{self, Insn, MAX_INSNS};
use super::super::error::FilterErrorKind;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct CondId(usize);

/// Statements, and a comparison of A after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct Test {
    pub(in super::super) stmts: Vec<Insn>,
    /// The code of a conditional jump, with class and source.
    pub(in super::super) code: u16,
    pub(in super::super) k: u32,
}

impl Test {
    /// A comparison of A with a constant.
    pub(super) fn new(stmts: Vec<Insn>, op: u16, k: u32) -> Self {
        Self { stmts, code: bpf::JMP | op | bpf::K, k }
    }

    /// A comparison of A with X.
    pub(super) fn with_x(stmts: Vec<Insn>, op: u16) -> Self {
        Self { stmts, code: bpf::JMP | op | bpf::X, k: 0 }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum Condition {
    Test(Test),
    Not(CondId),
    /// The first condition is tested first.
    And(CondId, CondId),
    Or(CondId, CondId),
}

#[derive(Debug, Default)]
pub(in super::super) struct Conditions {
    all: Vec<Condition>,
    insns: usize,
}

impl Conditions {
    pub(in super::super) fn get(&self, id: CondId) -> &Condition {
        &self.all[id.0]
    }

    pub(super) fn test(&mut self, test: Test) -> CondId {
        self.insns += test.stmts.len() + 1;
        self.add(Condition::Test(test))
    }

    pub(super) fn not(&mut self, inner: CondId) -> CondId {
        self.add(Condition::Not(inner))
    }

    pub(super) fn and(&mut self, first: CondId, second: CondId) -> CondId {
        self.add(Condition::And(first, second))
    }

    pub(super) fn or(&mut self, first: CondId, second: CondId) -> CondId {
        self.add(Condition::Or(first, second))
    }

    /// A test that every packet passes.
    pub(super) fn always(&mut self) -> CondId {
        self.constant(0)
    }

    /// A test that no packet passes.
    pub(super) fn never(&mut self) -> CondId {
        self.constant(1)
    }

    fn constant(&mut self, value: u32) -> CondId {
        self.test(Test::new(vec![Insn::stmt(bpf::LD | bpf::IMM, value)], bpf::JEQ, 0))
    }

    /// Bounds the time of the optimizer. A program of more than [`MAX_INSNS`] may still become short enough.
    pub(super) fn check_size(&self) -> Result<(), FilterErrorKind> {
        const LIMIT: usize = 16 * MAX_INSNS;
        if self.insns > LIMIT { Err(FilterErrorKind::TooLong(MAX_INSNS)) } else { Ok(()) }
    }

    fn add(&mut self, condition: Condition) -> CondId {
        self.all.push(condition);
        CondId(self.all.len() - 1)
    }
}
