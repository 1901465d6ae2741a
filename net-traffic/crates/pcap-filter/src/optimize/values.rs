//! Value numbering: equal numbers are equal values. A packet does not change, so equal loads are equal values.

use std::collections::HashMap;

use super::super::bpf::{self, Insn, MEMORY_WORDS};
use super::super::interpret;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Value(u32);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Expr {
    Constant(u32),
    Length,
    Load { size: u16, at: u32 },
    IndirectLoad { size: u16, x: Value, k: u32 },
    Ipv4HeaderLength(u32),
    Calculation(u16, Value, Value),
    Unknown(u32),
}

/// A register or a word of scratch memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    A,
    X,
    Memory(usize),
}

impl Slot {
    /// The bit of this slot in a set of slots.
    pub(super) fn bit(self) -> u32 {
        match self {
            Self::A => 1,
            Self::X => 2,
            Self::Memory(word) => 4 << word,
        }
    }

    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Self::A, Self::X].into_iter().chain((0..MEMORY_WORDS).map(Self::Memory))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) a: Value,
    pub(super) x: Value,
    memory: [Value; MEMORY_WORDS],
}

impl Registers {
    pub(super) fn get(&self, slot: Slot) -> Value {
        match slot {
            Slot::A => self.a,
            Slot::X => self.x,
            Slot::Memory(word) => self.memory[word],
        }
    }

    pub(super) fn set(&mut self, slot: Slot, value: Value) {
        match slot {
            Slot::A => self.a = value,
            Slot::X => self.x = value,
            Slot::Memory(word) => self.memory[word] = value,
        }
    }
}

/// The effect of a statement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) slot: Slot,
    pub(super) value: Value,
    pub(super) risk: Risk,
}

/// Whether a statement may reject the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Risk {
    None,
    /// Unless the same load precedes.
    Load(Value),
    /// A division by an unknown value.
    Unknown,
    /// A division by zero.
    Certain,
}

#[derive(Debug, Default)]
pub(super) struct Values {
    exprs: Vec<Expr>,
    numbers: HashMap<Expr, Value>,
    unknowns: u32,
}

impl Values {
    /// At the entry of a program A and X are zero, and scratch memory is unknown.
    pub(super) fn entry_registers(&mut self) -> Registers {
        let zero = self.constant(0);
        let memory = [(); MEMORY_WORDS].map(|()| self.unknown());
        Registers { a: zero, x: zero, memory }
    }

    pub(super) fn unknown(&mut self) -> Value {
        self.unknowns += 1;
        self.number(Expr::Unknown(self.unknowns))
    }

    pub(super) fn constant(&mut self, constant: u32) -> Value {
        self.number(Expr::Constant(constant))
    }

    pub(super) fn as_constant(&self, value: Value) -> Option<u32> {
        match self.expr(value) {
            Expr::Constant(constant) => Some(constant),
            _ => None,
        }
    }

    /// The offset of a load whose offset is fixed.
    pub(super) fn load_offset(&self, value: Value) -> Option<u32> {
        match self.expr(value) {
            Expr::Load { at, .. } => Some(at),
            _ => None,
        }
    }

    /// The least and the greatest possible value.
    pub(super) fn bounds(&self, value: Value) -> (u32, u32) {
        let by_size = |size| match size {
            bpf::B => (0, 0xff),
            bpf::H => (0, 0xffff),
            _ => (0, u32::MAX),
        };
        match self.expr(value) {
            Expr::Constant(constant) => (constant, constant),
            // A load of metadata ignores its size.
            Expr::Load { size, at } if at < bpf::METADATA => by_size(size),
            Expr::IndirectLoad { size, .. } => by_size(size),
            Expr::Ipv4HeaderLength(_) => (0, 60),
            Expr::Calculation(bpf::AND, _, mask) => (0, self.as_constant(mask).unwrap_or(u32::MAX)),
            _ => (0, u32::MAX),
        }
    }

    /// The effect of a statement, which is no jump, on these registers.
    pub(super) fn step(&mut self, registers: &Registers, insn: Insn) -> Step {
        let k = insn.k;
        let word = Slot::Memory(k as usize % MEMORY_WORDS);
        let plain = |slot, value| Step { slot, value, risk: Risk::None };
        match insn.class() {
            bpf::LD => match insn.mode() {
                bpf::IMM => plain(Slot::A, self.constant(k)),
                bpf::LEN => plain(Slot::A, self.number(Expr::Length)),
                bpf::MEM => plain(Slot::A, registers.get(word)),
                bpf::IND => self.load(Slot::A, self.indirect(registers.x, insn)),
                _ => self.load(Slot::A, Expr::Load { size: insn.size(), at: k }),
            },
            bpf::LDX => match insn.mode() {
                bpf::IMM => plain(Slot::X, self.constant(k)),
                bpf::LEN => plain(Slot::X, self.number(Expr::Length)),
                bpf::MEM => plain(Slot::X, registers.get(word)),
                _ => self.load(Slot::X, Expr::Ipv4HeaderLength(k)),
            },
            bpf::ST => plain(word, registers.a),
            bpf::STX => plain(word, registers.x),
            bpf::ALU => self.calculation(registers, insn),
            _ if insn.copies_to_a() => plain(Slot::A, registers.x),
            _ => plain(Slot::X, registers.a),
        }
    }

    fn load(&mut self, slot: Slot, expr: Expr) -> Step {
        let value = self.number(expr);
        Step { slot, value, risk: Risk::Load(value) }
    }

    /// A load relative to X. Absolute, if X is known and the sum is an offset into the packet.
    fn indirect(&self, x: Value, insn: Insn) -> Expr {
        let at = self.as_constant(x).and_then(|x| x.checked_add(insn.k)).filter(|at| *at < bpf::METADATA);
        match at {
            Some(at) => Expr::Load { size: insn.size(), at },
            None => Expr::IndirectLoad { size: insn.size(), x, k: insn.k },
        }
    }

    fn calculation(&mut self, registers: &Registers, insn: Insn) -> Step {
        let op = insn.op();
        let (left, right) = (registers.a, if insn.uses_x() { registers.x } else { self.constant(insn.k) });
        let risk = match (op, self.as_constant(right)) {
            (bpf::DIV | bpf::MOD, Some(0)) => Risk::Certain,
            (bpf::DIV | bpf::MOD, None) => Risk::Unknown,
            _ => Risk::None,
        };
        let known = match (self.as_constant(left), self.as_constant(right)) {
            (Some(left), Some(right)) => interpret::calculate(op, left, right),
            (_, Some(0)) if matches!(op, bpf::AND | bpf::MUL) => Some(0),
            (_, Some(32..)) if matches!(op, bpf::LSH | bpf::RSH) => Some(0),
            _ => None,
        };
        let value = match (known, op, self.as_constant(right)) {
            (Some(known), ..) => self.constant(known),
            (_, bpf::ADD | bpf::SUB | bpf::OR | bpf::XOR | bpf::LSH | bpf::RSH, Some(0))
            | (_, bpf::MUL | bpf::DIV, Some(1))
            | (_, bpf::AND, Some(u32::MAX)) => left,
            (_, bpf::NEG, _) => {
                let none = self.constant(0);
                self.number(Expr::Calculation(op, left, none))
            }
            _ => self.number(Expr::Calculation(op, left, right)),
        };
        Step { slot: Slot::A, value, risk }
    }

    fn expr(&self, value: Value) -> Expr {
        self.exprs[value.0 as usize]
    }

    fn number(&mut self, expr: Expr) -> Value {
        let next = Value(u32::try_from(self.exprs.len()).unwrap_or(u32::MAX));
        *self.numbers.entry(expr).or_insert_with(|| {
            self.exprs.push(expr);
            next
        })
    }
}
