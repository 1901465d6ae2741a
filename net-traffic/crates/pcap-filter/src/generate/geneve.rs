//! `geneve`: a tunnel in UDP (RFC 8926). Its header has a variable length, so scratch words hold the offsets of the inner
//! headers.

use super::super::bpf::{self, Insn};
use super::super::error::FilterErrorKind;
use super::condition::{CondId, Test};
use super::layers::{Base, Link};
use super::link::{ETHERTYPE_IP, ETHERTYPE_IP6};
use super::offset::{Origin, load_x, store_a};
use super::{Generator, Result};

const PORT: u32 = 6081;
/// The length of the UDP header, and of the fixed part of the Geneve header.
const HEADER: u32 = 8;
/// The protocol type of an inner Ethernet frame.
const ETHERNET: u32 = 0x6558;

/// The scratch words with the offsets of the inner headers.
#[derive(Clone, Copy)]
struct Inner {
    kind: u32,
    header: u32,
    payload: u32,
}

impl Generator<'_> {
    pub(super) fn geneve(&mut self, vni: Option<u32>) -> Result<CondId> {
        const LARGEST_VNI: u32 = 0xff_ffff;
        if let Some(value) = vni.filter(|vni| *vni > LARGEST_VNI) {
            return Err(FilterErrorKind::OutOfRange { what: "Geneve VNI", value, max: LARGEST_VNI });
        }
        let over_ip = self.geneve_over(ETHERTYPE_IP, vni)?;
        let over_ip6 = self.geneve_over(ETHERTYPE_IP6, vni)?;
        let outer = self.conditions.or(over_ip, over_ip6);
        let inner = Inner {
            kind: self.registers.take()?,
            header: self.registers.take()?,
            payload: self.registers.take()?,
        };
        let found = self.find_inner(inner);
        let layers = &mut self.layers;
        layers.link = Link::Ethernet;
        layers.type_field = Base::in_register(inner.kind);
        layers.header = Base::in_register(inner.header);
        layers.payload = Base::in_register(inner.payload);
        layers.network = 0;
        layers.network_over_llc = 0;
        layers.in_geneve = true;
        Ok(self.conditions.and(outer, found))
    }

    /// Geneve over one IP version. If it matches, A plus [`Self::ipv4_load_constant`] is the offset of the UDP header.
    fn geneve_over(&mut self, kind: u32, vni: Option<u32>) -> Result<CondId> {
        let origin = if kind == ETHERTYPE_IP { Origin::Ipv4Payload } else { Origin::Ipv6Payload };
        let port = self.udp_destination(PORT, kind)?;
        let version = self.masked_equal(origin.byte(HEADER), 0, 0xc0);
        let mut matched = self.conditions.and(port, version);
        if let Some(vni) = vni {
            let number = self.masked_equal(origin.word(HEADER + 4), vni << 8, 0xffff_ff00);
            matched = self.conditions.and(matched, number);
        }
        let udp = if kind == ETHERTYPE_IP {
            let mut stmts = self.ipv4_header_to_x();
            stmts.push(Insn::stmt(bpf::MISC | bpf::TXA, 0));
            stmts
        } else {
            let mut stmts = vec![Insn::stmt(bpf::LD | bpf::IMM, 40)];
            if let Some(register) = self.layers.payload.register {
                stmts.extend([load_x(register), Insn::stmt(bpf::ALU | bpf::ADD | bpf::X, 0)]);
            }
            stmts
        };
        let udp = self.conditions.test(Test::new(udp, bpf::JGE, 0));
        Ok(self.conditions.and(matched, udp))
    }

    /// Stores the offsets of the inner type field, link header and payload. A is as [`Self::geneve_over`] leaves it.
    fn find_inner(&mut self, inner: Inner) -> CondId {
        let alu = |op, k| Insn::stmt(bpf::ALU | op | bpf::K, k);
        let to_x = Insn::stmt(bpf::MISC | bpf::TAX, 0);
        let store_x = |register| Insn::stmt(bpf::STX, register);
        let header = self.ipv4_load_constant().wrapping_add(HEADER);
        let locate = vec![
            alu(bpf::ADD, header),
            to_x,
            // The type of the payload is at offset 2.
            alu(bpf::ADD, 2),
            store_a(inner.kind),
            // The length of the options is in units of 4 bytes.
            Insn::stmt(bpf::LD | bpf::IND | bpf::B, 0),
            alu(bpf::AND, 0x3f),
            alu(bpf::MUL, 4),
            alu(bpf::ADD, 8),
            Insn::stmt(bpf::ALU | bpf::ADD | bpf::X, 0),
            store_a(inner.header),
            Insn::stmt(bpf::LD | bpf::IND | bpf::H, 2),
            load_x(inner.header),
        ];
        let ethernet = vec![
            Insn::stmt(bpf::MISC | bpf::TXA, 0),
            alu(bpf::ADD, 12),
            store_a(inner.kind),
            alu(bpf::ADD, 2),
            store_a(inner.payload),
        ];
        let locate = self.conditions.test(Test::new(locate, bpf::JEQ, ETHERNET));
        let ethernet = self.conditions.test(Test::new(ethernet, bpf::JGE, 0));
        let other = self.conditions.test(Test::new(vec![store_x(inner.payload)], bpf::JGE, 0));
        let ethernet = self.conditions.and(locate, ethernet);
        self.conditions.or(ethernet, other)
    }
}
