//! Arithmetic and comparisons. Each intermediate result has a word of scratch memory; the optimizer removes most.

use super::super::bpf::{self, Insn, MEMORY_WORDS};
use super::super::error::{FilterError, FilterErrorKind};
use super::super::syntax::{Arithmetic, Operator, Protocol, Relation, Step};
use super::condition::{CondId, Test};
use super::offset::{Field, Origin, load_a, load_x, store_a};
use super::protocol::ICMP6;
use super::{Generator, Result};

/// The words of scratch memory in use. The search for a free one begins at the word that was found last.
#[derive(Debug, Default)]
pub(super) struct Registers {
    used: [bool; MEMORY_WORDS],
    next: usize,
}

impl Registers {
    pub(super) fn take(&mut self) -> Result<u32> {
        for _ in 0..MEMORY_WORDS {
            if !self.used[self.next] {
                self.used[self.next] = true;
                return u32::try_from(self.next).ok().ok_or(FilterErrorKind::OutOfRegisters);
            }
            self.next = (self.next + 1) % MEMORY_WORDS;
        }
        Err(FilterErrorKind::OutOfRegisters)
    }

    pub(super) fn release(&mut self, register: u32) {
        if let Some(used) = self.used.get_mut(register as usize) {
            *used = false;
        }
    }
}

/// An intermediate result: the statements that compute it, the scratch word that holds it, and the condition under which
/// it is defined.
struct Value {
    stmts: Vec<Insn>,
    register: u32,
    guard: Option<CondId>,
}

impl Generator<'_> {
    pub(super) fn relation(
        &mut self,
        left: &Arithmetic,
        relation: Relation,
        right: &Arithmetic,
    ) -> std::result::Result<CondId, FilterError> {
        let left = self.value(left)?;
        let right = self.value(right)?;
        let (op, negated) = match relation {
            Relation::Greater => (bpf::JGT, false),
            Relation::GreaterEqual => (bpf::JGE, false),
            Relation::Equal => (bpf::JEQ, false),
            Relation::LessEqual => (bpf::JGT, true),
            Relation::Less => (bpf::JGE, true),
            Relation::NotEqual => (bpf::JEQ, true),
        };
        let mut stmts = left.stmts;
        stmts.extend(right.stmts);
        stmts.extend([load_x(right.register), load_a(left.register)]);
        let mut test = if op == bpf::JEQ {
            stmts.push(Insn::stmt(bpf::ALU | bpf::SUB | bpf::X, 0));
            self.conditions.test(Test::new(stmts, op, 0))
        } else {
            self.conditions.test(Test::with_x(stmts, op))
        };
        if negated {
            test = self.conditions.not(test);
        }
        self.registers.release(left.register);
        self.registers.release(right.register);
        let guard = match (left.guard, right.guard) {
            (Some(left), Some(right)) => Some(self.conditions.and(left, right)),
            (left, right) => left.or(right),
        };
        Ok(self.guarded(guard, test))
    }

    fn value(&mut self, arithmetic: &Arithmetic) -> std::result::Result<Value, FilterError> {
        let mut stack: Vec<Value> = Vec::new();
        let malformed =
            || FilterErrorKind::Unexpected { found: "arithmetic".to_owned(), expected: "an operand" };
        for (step, span) in &arithmetic.steps {
            let mut pop = || stack.pop().ok_or_else(malformed);
            let value = match *step {
                Step::Number(number) => self.leaf(Insn::stmt(bpf::LD | bpf::IMM, number)),
                Step::Len => self.leaf(Insn::stmt(bpf::LD | bpf::LEN, 0)),
                Step::Negate => pop().and_then(|operand| self.negation(operand)),
                Step::Load { protocol, size } => {
                    pop().and_then(|offset| self.indexed(protocol, offset, size))
                }
                Step::Binary(operator) => pop()
                    .and_then(|right| Ok((pop()?, right)))
                    .and_then(|(left, right)| self.binary(operator, left, right)),
            };
            let within_bounds = self.conditions.check_size();
            stack.push(
                value
                    .and_then(|value| within_bounds.map(|()| value))
                    .map_err(|kind| FilterError::new(kind, span.clone()))?,
            );
        }
        stack.pop().ok_or_else(|| FilterError::new(malformed(), 0..0))
    }

    fn leaf(&mut self, load: Insn) -> Result<Value> {
        let register = self.registers.take()?;
        Ok(Value { stmts: vec![load, store_a(register)], register, guard: None })
    }

    fn negation(&mut self, mut operand: Value) -> Result<Value> {
        let register = operand.register;
        operand.stmts.extend([load_a(register), Insn::stmt(bpf::ALU | bpf::NEG, 0)]);
        self.registers.release(register);
        operand.register = self.registers.take()?;
        operand.stmts.push(store_a(operand.register));
        Ok(operand)
    }

    /// Computes with both operands. Only the left one's guard is kept, as in libpcap.
    fn binary(&mut self, operator: Operator, left: Value, right: Value) -> Result<Value> {
        check_constant(operator, &right)?;
        let op = match operator {
            Operator::Add => bpf::ADD,
            Operator::Sub => bpf::SUB,
            Operator::Mul => bpf::MUL,
            Operator::Div => bpf::DIV,
            Operator::Mod => bpf::MOD,
            Operator::And => bpf::AND,
            Operator::Or => bpf::OR,
            Operator::Xor => bpf::XOR,
            Operator::Lsh => bpf::LSH,
            Operator::Rsh => bpf::RSH,
        };
        let Value { mut stmts, register, guard } = left;
        stmts.extend(right.stmts);
        let combine = Insn::stmt(bpf::ALU | op | bpf::X, 0);
        stmts.extend([load_x(right.register), load_a(register), combine]);
        self.registers.release(register);
        self.registers.release(right.register);
        let register = self.registers.take()?;
        stmts.push(store_a(register));
        Ok(Value { stmts, register, guard })
    }

    /// `protocol[offset:size]`
    fn indexed(&mut self, protocol: Protocol, offset: Value, size: u32) -> Result<Value> {
        let size = match size {
            1 => bpf::B,
            2 => bpf::H,
            4 => bpf::W,
            other => return Err(FilterErrorKind::LoadSize(other)),
        };
        let register = self.registers.take()?;
        self.registers.release(offset.register);
        let mut stmts = offset.stmts;
        let (guard, load) = match protocol {
            Protocol::Radio | Protocol::Ah | Protocol::Esp => {
                return Err(FilterErrorKind::NotIndexable(protocol.name()));
            }
            Protocol::Link => (offset.guard, self.load_indexed(Origin::LinkHeader, offset.register, size)),
            Protocol::Ip
            | Protocol::Ip6
            | Protocol::Arp
            | Protocol::Rarp
            | Protocol::Atalk
            | Protocol::Decnet
            | Protocol::Lat
            | Protocol::Sca
            | Protocol::Moprc
            | Protocol::Mopdl => {
                let carried = self.protocol_alone(protocol)?;
                let guard = self.guarded(offset.guard, carried);
                (Some(guard), self.load_indexed(Origin::Network, offset.register, size))
            }
            Protocol::Sctp
            | Protocol::Tcp
            | Protocol::Udp
            | Protocol::Icmp
            | Protocol::Igmp
            | Protocol::Igrp
            | Protocol::Pim
            | Protocol::Vrrp
            | Protocol::Carp => {
                let carried = self.protocol_alone(protocol)?;
                let first_fragment = self.first_fragment();
                let guard = self.conditions.and(carried, first_fragment);
                let guard = self.guarded(offset.guard, guard);
                let ip = self.protocol_alone(Protocol::Ip)?;
                let guard = self.conditions.and(ip, guard);
                (Some(guard), self.load_indexed(Origin::Ipv4Payload, offset.register, size))
            }
            Protocol::Icmp6 => {
                let ip6 = self.protocol_alone(Protocol::Ip6)?;
                let guard = self.guarded(offset.guard, ip6);
                let next = self.equal(Origin::Network.byte(6), ICMP6);
                let guard = self.conditions.and(guard, next);
                (Some(guard), self.load_indexed(Origin::Ipv6Payload, offset.register, size))
            }
            _ => return Err(FilterErrorKind::NotIndexable(protocol.name())),
        };
        stmts.extend(load);
        stmts.push(store_a(register));
        Ok(Value { stmts, register, guard })
    }

    /// Statements that load into A from an offset that is in a scratch word.
    fn load_indexed(&self, origin: Origin, offset: u32, size: u16) -> Vec<Insn> {
        let add = [
            load_a(offset),
            Insn::stmt(bpf::ALU | bpf::ADD | bpf::X, 0),
            Insn::stmt(bpf::MISC | bpf::TAX, 0),
        ];
        let load = self.load(Field { origin, offset: 0, size });
        match load.split_last() {
            // First the statements that set X to the header, last the load.
            Some((last, before)) if !before.is_empty() => {
                before.iter().copied().chain(add).chain([*last]).collect()
            }
            _ => {
                let k = load.first().map_or(0, |load| load.k);
                vec![load_x(offset), Insn::stmt(bpf::LD | bpf::IND | size, k)]
            }
        }
    }
}

/// Refuses a division by zero and a shift by more than 31. The check reads the first instruction of the operand only, as
/// libpcap's does, so `0 + 2` and `ip[0]` count as zero.
fn check_constant(operator: Operator, right: &Value) -> Result<()> {
    let Some(first) = right.stmts.first().filter(|insn| insn.code == bpf::LD | bpf::IMM) else {
        return Ok(());
    };
    match operator {
        Operator::Div | Operator::Mod if first.k == 0 => Err(FilterErrorKind::DivisionByZero),
        Operator::Lsh | Operator::Rsh if first.k > 31 => Err(FilterErrorKind::Shift(first.k)),
        _ => Ok(()),
    }
}
