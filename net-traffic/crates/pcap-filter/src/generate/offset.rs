//! Loads relative to a header, and comparisons of what was loaded.

use super::super::bpf::{self, Insn};
use super::condition::{CondId, Test};
use super::{Base, Generator};

/// What an offset counts from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    LinkHeader,
    LinkKind,
    /// The 802.2 header, if there is one.
    Llc,
    Network,
    NetworkOverLlc,
    /// The MPLS label before the network header.
    PreviousLabel,
    /// Behind the IPv4 header and its options.
    Ipv4Payload,
    /// Behind the fixed IPv6 header.
    Ipv6Payload,
}

impl Generator<'_> {
    /// Loads into A. May change X.
    pub(super) fn load(&self, place: Place, offset: u32, size: u16) -> Vec<Insn> {
        let layers = &self.layers;
        let base = match place {
            Place::LinkHeader => layers.header,
            Place::LinkKind => layers.kind,
            Place::Llc => layers.payload,
            Place::Network => layers.payload.plus(layers.network),
            Place::NetworkOverLlc => layers.payload.plus(layers.network_over_llc),
            Place::PreviousLabel => layers.payload.plus(layers.network.wrapping_sub(4)),
            Place::Ipv6Payload => layers.payload.plus(layers.network.wrapping_add(40)),
            Place::Ipv4Payload => {
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

    /// X becomes what, with [`Self::ipv4_load_constant`], is the offset of the IPv4 payload. May change A.
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

    /// A test of what a place holds, `mask` applied, against `value`. `op` is one of the conditional jumps.
    pub(super) fn compare(
        &mut self,
        place: Place,
        offset: u32,
        size: u16,
        op: u16,
        value: u32,
        mask: u32,
    ) -> CondId {
        let mut stmts = self.load(place, offset, size);
        if mask != u32::MAX {
            stmts.push(Insn::stmt(bpf::ALU | bpf::AND | bpf::K, mask));
        }
        self.conditions.test(Test::new(stmts, op, value))
    }

    pub(super) fn equal(&mut self, place: Place, offset: u32, size: u16, value: u32) -> CondId {
        self.compare(place, offset, size, bpf::JEQ, value, u32::MAX)
    }

    pub(super) fn masked_equal(
        &mut self,
        place: Place,
        offset: u32,
        size: u16,
        value: u32,
        mask: u32,
    ) -> CondId {
        self.compare(place, offset, size, bpf::JEQ, value, mask)
    }

    /// A test for octets. The last four are looked at first.
    pub(super) fn octets_equal(&mut self, place: Place, offset: u32, octets: &[u8]) -> CondId {
        let mut joined = None;
        let mut rest = octets;
        while !rest.is_empty() {
            let (width, size) = match rest.len() {
                0 | 1 => (1, bpf::B),
                2 | 3 => (2, bpf::H),
                _ => (4, bpf::W),
            };
            let (before, last) = rest.split_at(rest.len() - width);
            let value = last.iter().fold(0, |value, octet| value << 8 | u32::from(*octet));
            let at = offset.wrapping_add(u32::try_from(before.len()).unwrap_or(0));
            let test = self.equal(place, at, size, value);
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
