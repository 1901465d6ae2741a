//! `protochain`: a loop over extension headers, the only loop of the language.

use super::super::bpf::{self, Insn};
use super::super::error::FilterErrorKind;
use super::super::syntax::Protocol;
use super::condition::{CondId, Test};
use super::link::{ETHERTYPE_IP, ETHERTYPE_IP6};
use super::offset::{load_a, store_a};
use super::protocol::AH;
use super::{Generator, Result};

/// IPv6 extension headers with a length in units of 8 bytes: hop-by-hop, destination options, routing, fragment.
const IPV6_EXTENSIONS: [u32; 4] = [0, 60, 43, 44];
const NO_NEXT_HEADER: u32 = 59;

impl Generator<'_> {
    pub(super) fn protochain(&mut self, number: u32, protocol: Option<Protocol>) -> Result<CondId> {
        if self.layers.payload.register.is_some() {
            return Err(FilterErrorKind::VariableLength("protochain"));
        }
        let kind = match protocol {
            None => {
                let ip = self.protochain(number, Some(Protocol::Ip))?;
                let ip6 = self.protochain(number, Some(Protocol::Ip6))?;
                return Ok(self.conditions.or(ip, ip6));
            }
            Some(Protocol::Ip) => ETHERTYPE_IP,
            Some(Protocol::Ip6) => ETHERTYPE_IP6,
            Some(other) => {
                return Err(FilterErrorKind::Qualifier { qualifier: other.name(), what: "`protochain`" });
            }
        };
        self.loops = true;
        let carried = self.linktype(kind)?;
        let register = self.registers.take()?;
        let base = self.layers.payload.plus(self.layers.network).constant;
        let stmts = header_loop(number, kind, base, register);
        self.registers.release(register);
        let found = self.conditions.test(Test::new(stmts, bpf::JEQ, number));
        Ok(self.conditions.and(carried, found))
    }
}

/// Statements that leave in A the protocol number at which the search ended. In the loop X is the offset of a header and
/// A its number.
///
/// One error of libpcap is kept: after an authentication header X is the length of the header and not its end. The
/// search continues near the beginning of the packet and may never end.
fn header_loop(number: u32, kind: u32, base: u32, register: u32) -> Vec<Insn> {
    let byte = |offset: u32| Insn::stmt(bpf::LD | bpf::IND | bpf::B, base.wrapping_add(offset));
    let add = |k| Insn::stmt(bpf::ALU | bpf::ADD | bpf::K, k);
    let multiply = |k| Insn::stmt(bpf::ALU | bpf::MUL | bpf::K, k);
    let to_x = Insn::stmt(bpf::MISC | bpf::TAX, 0);
    let to_a = Insn::stmt(bpf::MISC | bpf::TXA, 0);
    let equal = |k, jt, jf| Insn::jump(bpf::JMP | bpf::JEQ | bpf::K, k, jt, jf);

    let extension = [
        byte(0),
        store_a(register),
        byte(1),
        add(1),
        multiply(8),
        Insn::stmt(bpf::ALU | bpf::ADD | bpf::X, 0),
        to_x,
        load_a(register),
    ];
    let authentication = [
        to_a,
        byte(0),
        store_a(register),
        to_a,
        add(1),
        to_x,
        byte(0),
        add(2),
        multiply(4),
        to_x,
        load_a(register),
    ];
    // The list has less than 256 instructions.
    let distance = |count: usize| u8::try_from(count).unwrap_or(u8::MAX);
    let mut list = if kind == ETHERTYPE_IP {
        vec![
            Insn::stmt(bpf::LD | bpf::ABS | bpf::B, base.wrapping_add(9)),
            Insn::stmt(bpf::LDX | bpf::MSH | bpf::B, base),
        ]
    } else {
        vec![
            Insn::stmt(bpf::LD | bpf::ABS | bpf::B, base.wrapping_add(6)),
            Insn::stmt(bpf::LDX | bpf::IMM, 40),
        ]
    };
    let top = list.len();
    let back = |list: &[Insn]| {
        let behind = u32::try_from(list.len() + 1 - top).unwrap_or(0);
        Insn::stmt(bpf::JMP | bpf::JA, behind.wrapping_neg())
    };
    let authentication_block = authentication.len() + 2;
    let extensions_block =
        if kind == ETHERTYPE_IP6 { IPV6_EXTENSIONS.len() + extension.len() + 1 } else { 0 };
    let to_end = 1 + extensions_block + authentication_block;
    list.push(equal(number, distance(to_end), 0));
    list.push(equal(NO_NEXT_HEADER, distance(to_end - 1), 0));
    if kind == ETHERTYPE_IP6 {
        for (index, header) in IPV6_EXTENSIONS.into_iter().enumerate() {
            let others = IPV6_EXTENSIONS.len() - 1 - index;
            let over = if others == 0 { distance(extension.len() + 1) } else { 0 };
            list.push(equal(header, distance(others), over));
        }
        list.extend(extension);
        list.push(back(&list));
    }
    list.push(equal(AH, 0, distance(authentication_block - 1)));
    list.extend(authentication);
    list.push(back(&list));
    list
}
