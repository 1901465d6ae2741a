//! `vlan`, `mpls` and `pppoes`: a test for the tag, and a shift of the offsets after it.

use super::super::bpf::{self, Insn, METADATA_VLAN_PRESENT, METADATA_VLAN_TCI};
use super::super::error::FilterErrorKind;
use super::condition::{CondId, Test};
use super::layers::{Base, Link};
use super::link::{ETHERTYPE_MPLS, ETHERTYPE_PPPOES};
use super::offset::{Origin, load_a, store_a};
use super::{Generator, Result};

/// 802.1Q, 802.1ad, and its predecessor 0x9100.
const TAG_PROTOCOLS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
const TAG_LENGTH: u32 = 4;
const VLAN_MASK: u32 = 0x0fff;
const PPP_MPLS: u32 = 0x0281;

impl Generator<'_> {
    pub(super) fn vlan(&mut self, tag: Option<u32>) -> Result<CondId> {
        if self.layers.mpls_labels > 0 {
            return Err(FilterErrorKind::NotBehindMpls);
        }
        if self.layers.link != Link::Ethernet {
            return Err(FilterErrorKind::NotOnThisLink { what: "vlan", linktype: self.layers.link.name() });
        }
        within("VLAN", tag, VLAN_MASK)?;
        let outermost = !self.layers.in_vlan && self.layers.header == Base::fixed(0);
        let cond = if outermost && self.options.metadata {
            self.vlan_or_offloaded(tag)?
        } else {
            self.vlan_in_frame(tag)
        };
        self.layers.in_vlan = true;
        Ok(cond)
    }

    fn vlan_in_frame(&mut self, tag: Option<u32>) -> CondId {
        let mut tagged = self.tag_protocols();
        if let Some(tag) = tag {
            let number = self.masked_equal(Origin::Network.half(0), tag, VLAN_MASK);
            tagged = self.conditions.and(tagged, number);
        }
        self.layers.type_field = self.layers.type_field.plus(TAG_LENGTH);
        self.layers.payload = self.layers.payload.plus(TAG_LENGTH);
        tagged
    }

    fn tag_protocols(&mut self) -> CondId {
        let [first, second, third] =
            TAG_PROTOCOLS.map(|protocol| self.equal(Origin::TypeField.half(0), protocol));
        let first_two = self.conditions.or(first, second);
        self.conditions.or(first_two, third)
    }

    /// Linux takes the outermost tag out of a received frame
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/net/core/dev.c#L5683>). Then the headers are four bytes nearer. Two
    /// scratch words hold the shift, which is known at run time only.
    fn vlan_or_offloaded(&mut self, tag: Option<u32>) -> Result<CondId> {
        let (payload, kind) = (self.registers.take()?, self.registers.take()?);
        let offloaded = self.tag_offloaded();
        let mut shift = Vec::new();
        for register in [payload, kind] {
            self.prelude.extend([Insn::stmt(bpf::LD | bpf::IMM, 0), store_a(register)]);
            let add = Insn::stmt(bpf::ALU | bpf::ADD | bpf::K, TAG_LENGTH);
            shift.extend([load_a(register), add, store_a(register)]);
        }
        let shift = self.conditions.test(Test { stmts: shift, ..always() });
        let tag_protocols = self.tag_protocols();
        let in_frame = self.conditions.and(shift, tag_protocols);
        let mut tagged = self.conditions.or(offloaded, in_frame);
        if let Some(tag) = tag {
            let offloaded = self.tag_offloaded();
            let mask = Insn::stmt(bpf::ALU | bpf::AND | bpf::K, VLAN_MASK);
            let metadata = vec![Insn::stmt(bpf::LD | bpf::ABS | bpf::B, METADATA_VLAN_TCI), mask];
            let metadata = self.conditions.test(Test::new(metadata, bpf::JEQ, tag));
            let metadata = self.conditions.and(offloaded, metadata);
            let not_offloaded = self.conditions.not(offloaded);
            let frame = self.masked_equal(Origin::Network.half(0), tag, VLAN_MASK);
            let frame = self.conditions.and(not_offloaded, frame);
            let number = self.conditions.or(metadata, frame);
            tagged = self.conditions.and(tagged, number);
        }
        self.layers.payload.register = Some(payload);
        self.layers.type_field.register = Some(kind);
        Ok(tagged)
    }

    fn tag_offloaded(&mut self) -> CondId {
        let load = Insn::stmt(bpf::LD | bpf::ABS | bpf::B, METADATA_VLAN_PRESENT);
        self.conditions.test(Test::new(vec![load], bpf::JEQ, 1))
    }

    pub(super) fn mpls(&mut self, label: Option<u32>) -> Result<CondId> {
        let mut labelled = if self.layers.mpls_labels > 0 {
            // The previous label must not be the bottom of the stack.
            self.masked_equal(Origin::PreviousLabel.byte(2), 0, 1)
        } else {
            match self.layers.link {
                Link::Ethernet => self.linktype(ETHERTYPE_MPLS)?,
                Link::Ppp => self.linktype(PPP_MPLS)?,
                other => return Err(FilterErrorKind::NotOnThisLink { what: "mpls", linktype: other.name() }),
            }
        };
        within("MPLS label", label, 0xf_ffff)?;
        if let Some(label) = label {
            let number = self.masked_equal(Origin::Network.word(0), label << 12, 0xffff_f000);
            labelled = self.conditions.and(labelled, number);
        }
        self.layers.network += 4;
        self.layers.network_over_llc += 4;
        self.layers.mpls_labels += 1;
        Ok(labelled)
    }

    pub(super) fn pppoes(&mut self, session: Option<u32>) -> Result<CondId> {
        const HEADER: u32 = 6;
        let mut in_session = self.linktype(ETHERTYPE_PPPOES)?;
        within("PPPoE session", session, 0xffff)?;
        if let Some(session) = session {
            let number = self.masked_equal(Origin::Network.word(0), session, 0xffff);
            in_session = self.conditions.and(in_session, number);
        }
        let layers = &mut self.layers;
        layers.link = Link::Ppp;
        layers.header = layers.payload.plus(layers.network + HEADER);
        layers.type_field = layers.header;
        layers.payload = layers.header.plus(2);
        layers.network = 0;
        layers.network_over_llc = 0;
        layers.in_geneve = false;
        Ok(in_session)
    }
}

/// A test without statements that every packet passes.
fn always() -> Test {
    // A is unsigned.
    Test::new(Vec::new(), bpf::JGE, 0)
}

fn within(what: &'static str, value: Option<u32>, max: u32) -> Result<()> {
    match value {
        Some(value) if value > max => Err(FilterErrorKind::OutOfRange { what, value, max }),
        _ => Ok(()),
    }
}
