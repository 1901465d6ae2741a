//! Syntax tree → a tree of tests, in the order and with the offsets of libpcap 1.10.
//!
//! The order matters: a load beyond the captured bytes rejects the packet. `vlan`, `mpls`, `pppoes` and `geneve` move the
//! offsets of all primitives to their right, whatever the operator between them is.

mod address;
mod arithmetic;
mod chain;
pub(super) mod condition;
mod encapsulation;
mod geneve;
mod layers;
mod link;
mod llc;
mod offset;
mod port;
mod protocol;

use super::CompileOptions;
use super::bpf::{self, Insn};
use super::error::{FilterError, FilterErrorKind};
use super::syntax::{ByteTest, Connective, Expr, Primitive};
use arithmetic::Registers;
use condition::{CondId, Conditions, Test};
use layers::{Base, Layers};
use offset::Origin;

pub(super) type Result<T> = std::result::Result<T, FilterErrorKind>;

/// The tests of an expression.
pub(super) struct Generated {
    pub(super) conditions: Conditions,
    pub(super) root: CondId,
    /// Statements before the first test.
    pub(super) prelude: Vec<Insn>,
    /// Whether a test has a loop.
    pub(super) loops: bool,
}

/// Generates the tests of an expression.
pub(super) fn generate(
    expr: &Expr,
    options: &CompileOptions<'_>,
) -> std::result::Result<Generated, FilterError> {
    let mut generator = Generator {
        options,
        conditions: Conditions::default(),
        layers: Layers::new(options.linktype),
        registers: Registers::default(),
        prelude: Vec::new(),
        loops: false,
    };
    let root = generator.expr(expr)?;
    let Generator { conditions, prelude, loops, .. } = generator;
    Ok(Generated { conditions, root, prelude, loops })
}

struct Generator<'a> {
    options: &'a CompileOptions<'a>,
    conditions: Conditions,
    layers: Layers,
    registers: Registers,
    prelude: Vec<Insn>,
    loops: bool,
}

impl Generator<'_> {
    fn expr(&mut self, expr: &Expr) -> std::result::Result<CondId, FilterError> {
        match expr {
            Expr::Chain { first, rest } => {
                let mut joined = self.expr(first)?;
                for (connective, expr) in rest {
                    let next = self.expr(expr)?;
                    joined = match connective {
                        Connective::And => self.conditions.and(joined, next),
                        Connective::Or => self.conditions.or(joined, next),
                    };
                }
                Ok(joined)
            }
            Expr::Not(expr) => {
                let inner = self.expr(expr)?;
                Ok(self.conditions.not(inner))
            }
            Expr::Primitive(primitive, span) => {
                let located = |kind| FilterError::new(kind, span.clone());
                let cond = if let Primitive::Relation { left, relation, right } = primitive {
                    self.relation(left, *relation, right)?
                } else {
                    self.primitive(primitive).map_err(located)?
                };
                self.conditions.check_size().map_err(located)?;
                Ok(cond)
            }
        }
    }

    fn primitive(&mut self, primitive: &Primitive) -> Result<CondId> {
        match primitive {
            Primitive::Id(qualifiers, id) => self.id(*qualifiers, id),
            Primitive::Protocol(protocol) => self.protocol_alone(*protocol),
            // The caller handles relations, because their errors have places of their own.
            Primitive::Relation { .. } => Ok(self.conditions.never()),
            Primitive::Broadcast(protocol) => self.broadcast(*protocol),
            Primitive::Multicast(protocol) => self.multicast(*protocol),
            Primitive::Less(length) => {
                let longer = self.length_test(bpf::JGT, *length);
                Ok(self.conditions.not(longer))
            }
            Primitive::Greater(length) => Ok(self.length_test(bpf::JGE, *length)),
            Primitive::Byte { offset, test, value } => Ok(self.byte(*offset, *test, *value)),
            Primitive::Inbound => {
                let outbound = self.outbound("inbound")?;
                Ok(self.conditions.not(outbound))
            }
            Primitive::Outbound => self.outbound("outbound"),
            Primitive::IfIndex(index) => self.ifindex(*index),
            Primitive::Vlan(tag) => self.vlan(*tag),
            Primitive::Mpls(label) => self.mpls(*label),
            Primitive::Pppoed => self.linktype(link::ETHERTYPE_PPPOED),
            Primitive::Pppoes(session) => self.pppoes(*session),
            Primitive::Geneve(vni) => self.geneve(*vni),
            Primitive::Llc(name) => self.llc(name.as_deref()),
        }
    }

    fn length_test(&mut self, op: u16, length: u32) -> CondId {
        let load = Insn::stmt(bpf::LD | bpf::LEN, 0);
        self.conditions.test(Test::new(vec![load], op, length))
    }

    /// `byte 9 > 17`, which is not in the manual. With `&` and `|` libpcap does not load the byte, and so it is here.
    fn byte(&mut self, offset: u32, test: ByteTest, value: u32) -> CondId {
        let op = match test {
            ByteTest::Equal => bpf::JEQ,
            ByteTest::Greater => bpf::JGT,
            ByteTest::Less => {
                let at_least = self.compare(Origin::LinkHeader.byte(offset), bpf::JGE, value);
                return self.conditions.not(at_least);
            }
            ByteTest::And | ByteTest::Or => {
                let op = if test == ByteTest::And { bpf::AND } else { bpf::OR };
                let combine = Insn::stmt(bpf::ALU | op | bpf::K, value);
                let zero = self.conditions.test(Test::new(vec![combine], bpf::JEQ, 0));
                return self.conditions.not(zero);
            }
        };
        self.compare(Origin::LinkHeader.byte(offset), op, value)
    }
}
