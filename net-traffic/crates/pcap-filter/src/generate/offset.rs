//! Loads relative to a header, and comparisons of the loaded value.

use super::super::bpf::{self, Insn};
use super::condition::{CondId, Test};
use super::{Base, Generator};

/// The place that an offset is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    LinkHeader,
    /// The field of the link header with the type of the payload.
    TypeField,
    /// The 802.2 header, if there is one.
    Llc,
    Network,
    NetworkOverLlc,
    /// The MPLS label before the network header.
    PreviousLabel,
    /// After the IPv4 header and its options.
    Ipv4Payload,
    /// After the fixed IPv6 header.
    Ipv6Payload,
}

/// A field of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) origin: Origin,
    pub(super) offset: u32,
    /// [`bpf::B`], [`bpf::H`] or [`bpf::W`].
    pub(super) size: u16,
}

impl Origin {
    pub(super) fn byte(self, offset: u32) -> Field {
        Field { origin: self, offset, size: bpf::B }
    }

    pub(super) fn half(self, offset: u32) -> Field {
        Field { origin: self, offset, size: bpf::H }
    }

    pub(super) fn word(self, offset: u32) -> Field {
        Field { origin: self, offset, size: bpf::W }
    }
}

impl Generator<'_> {
    /// Statements that load a field into A. They may change X.
    pub(super) fn load(&self, field: Field) -> Vec<Insn> {
        let Field { origin, offset, size } = field;
        let layers = &self.layers;
        let base = match origin {
            Origin::LinkHeader => layers.header,
            Origin::TypeField => layers.type_field,
            Origin::Llc => layers.payload,
            Origin::Network => layers.payload.plus(layers.network),
            Origin::NetworkOverLlc => layers.payload.plus(layers.network_over_llc),
            Origin::PreviousLabel => layers.payload.plus(layers.network.wrapping_sub(4)),
            Origin::Ipv6Payload => layers.payload.plus(layers.network.wrapping_add(40)),
            Origin::Ipv4Payload => {
                let mut stmts = self.ipv4_header_to_x();
                stmts.push(Insn::stmt(
                    bpf::LD | bpf::IND | size,
                    self.ipv4_load_constant().wrapping_add(offset),
                ));
                return stmts;
            }
        };
        let k = base.constant.wrapping_add(offset);
        match base.register {
            None => vec![Insn::stmt(bpf::LD | bpf::ABS | size, k)],
            Some(register) => vec![load_x(register), Insn::stmt(bpf::LD | bpf::IND | size, k)],
        }
    }

    /// Statements that set X so that X plus [`Self::ipv4_load_constant`] is the offset of the IPv4 payload. They may change
    /// A.
    pub(super) fn ipv4_header_to_x(&self) -> Vec<Insn> {
        let Base { constant, register } = self.layers.payload.plus(self.layers.network);
        match register {
            None => vec![Insn::stmt(bpf::LDX | bpf::MSH | bpf::B, constant)],
            Some(register) => vec![
                load_x(register),
                Insn::stmt(bpf::LD | bpf::IND | bpf::B, constant),
                Insn::stmt(bpf::ALU | bpf::AND | bpf::K, 0xf),
                Insn::stmt(bpf::ALU | bpf::LSH | bpf::K, 2),
                Insn::stmt(bpf::ALU | bpf::ADD | bpf::X, 0),
                Insn::stmt(bpf::MISC | bpf::TAX, 0),
            ],
        }
    }

    pub(super) fn ipv4_load_constant(&self) -> u32 {
        self.layers.payload.plus(self.layers.network).constant
    }

    /// A test of a field against `value`. `op` is a conditional jump.
    pub(super) fn compare(&mut self, field: Field, op: u16, value: u32) -> CondId {
        self.conditions.test(Test::new(self.load(field), op, value))
    }

    pub(super) fn equal(&mut self, field: Field, value: u32) -> CondId {
        self.compare(field, bpf::JEQ, value)
    }

    /// A test of a field, with `mask` applied, for `value`.
    pub(super) fn masked_equal(&mut self, field: Field, value: u32, mask: u32) -> CondId {
        let mut stmts = self.load(field);
        if mask != u32::MAX {
            stmts.push(Insn::stmt(bpf::ALU | bpf::AND | bpf::K, mask));
        }
        self.conditions.test(Test::new(stmts, bpf::JEQ, value))
    }

    /// A test for bytes at an offset, the last four first, as libpcap orders it.
    pub(super) fn bytes_equal(&mut self, origin: Origin, offset: u32, bytes: &[u8]) -> CondId {
        let mut joined = None;
        let mut rest = bytes;
        while !rest.is_empty() {
            let (width, size) = match rest.len() {
                0 | 1 => (1, bpf::B),
                2 | 3 => (2, bpf::H),
                _ => (4, bpf::W),
            };
            let (before, last) = rest.split_at(rest.len() - width);
            let value = last.iter().fold(0, |value, byte| value << 8 | u32::from(*byte));
            let at = offset.wrapping_add(u32::try_from(before.len()).unwrap_or(0));
            let test = self.equal(Field { origin, offset: at, size }, value);
            joined = Some(match joined {
                None => test,
                Some(joined) => self.conditions.and(joined, test),
            });
            rest = before;
        }
        joined.unwrap_or_else(|| self.conditions.always())
    }
}

pub(super) fn load_x(register: u32) -> Insn {
    Insn::stmt(bpf::LDX | bpf::MEM, register)
}

pub(super) fn load_a(register: u32) -> Insn {
    Insn::stmt(bpf::LD | bpf::MEM, register)
}

pub(super) fn store_a(register: u32) -> Insn {
    Insn::stmt(bpf::ST, register)
}
