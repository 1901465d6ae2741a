//! `vlan`, `mpls` and `pppoes`: a test for the tag, and a shift of everything after it.

use super::super::bpf::{self, Insn, METADATA_VLAN_PRESENT, METADATA_VLAN_TCI};
use super::super::error::FilterErrorKind;
use super::condition::{CondId, Test};
use super::layers::{Base, Link};
use super::link::{ETHERTYPE_MPLS, ETHERTYPE_PPPOES};
use super::offset::{Place, load_a, store_a};
use super::{Generator, Result};

/// 802.1Q, 802.1ad, and what came before 802.1ad.
const TAG_PROTOCOLS: [u32; 3] = [0x8100, 0x88a8, 0x9100];
const TAG_OCTETS: u32 = 4;
const VLAN_MASK: u32 = 0x0fff;
const PPP_MPLS: u32 = 0x0281;

impl Generator<'_> {
    pub(super) fn vlan(&mut self, tag: Option<u32>) -> Result<CondId> {
        if self.layers.labels > 0 {
            return Err(FilterErrorKind::NotBehindMpls);
        }
        if self.layers.link != Link::Ethernet {
            return Err(FilterErrorKind::NotOnThisLink { what: "vlan", linktype: self.layers.link.name() });
        }
        within("VLAN", tag, VLAN_MASK)?;
        let outermost = !self.layers.tagged && self.layers.header == Base::fixed(0);
        let cond = if outermost && self.options.metadata {
            self.vlan_or_taken_out(tag)?
        } else {
            self.vlan_in_frame(tag)
        };
        self.layers.tagged = true;
        Ok(cond)
    }

    fn vlan_in_frame(&mut self, tag: Option<u32>) -> CondId {
        let mut tagged = self.tag_protocols();
        if let Some(tag) = tag {
            let number = self.masked_equal(Place::Network, 0, bpf::H, tag, VLAN_MASK);
            tagged = self.conditions.and(tagged, number);
        }
        self.layers.kind = self.layers.kind.plus(TAG_OCTETS);
        self.layers.payload = self.layers.payload.plus(TAG_OCTETS);
        tagged
    }

    fn tag_protocols(&mut self) -> CondId {
        let [first, second, third] =
            TAG_PROTOCOLS.map(|protocol| self.equal(Place::LinkKind, 0, bpf::H, protocol));
        let first_two = self.conditions.or(first, second);
        self.conditions.or(first_two, third)
    }

    /// Linux may have taken the outermost tag out of the frame. What follows is then four octets nearer, which is known
    /// only at run time: scratch words hold the shift.
    fn vlan_or_taken_out(&mut self, tag: Option<u32>) -> Result<CondId> {
        let (payload, kind) = (self.registers.take()?, self.registers.take()?);
        let taken_out = self.tag_taken_out();
        let mut shift = Vec::new();
        for register in [payload, kind] {
            self.prelude.extend([Insn::stmt(bpf::LD | bpf::IMM, 0), store_a(register)]);
            let add = Insn::stmt(bpf::ALU | bpf::ADD | bpf::K, TAG_OCTETS);
            shift.extend([load_a(register), add, store_a(register)]);
        }
        let shift = self.conditions.test(Test { stmts: shift, ..always() });
        let tag_protocols = self.tag_protocols();
        let in_frame = self.conditions.and(shift, tag_protocols);
        let mut tagged = self.conditions.or(taken_out, in_frame);
        if let Some(tag) = tag {
            let taken_out = self.tag_taken_out();
            let mask = Insn::stmt(bpf::ALU | bpf::AND | bpf::K, VLAN_MASK);
            let metadata = vec![Insn::stmt(bpf::LD | bpf::ABS | bpf::B, METADATA_VLAN_TCI), mask];
            let metadata = self.conditions.test(Test::new(metadata, bpf::JEQ, tag));
            let metadata = self.conditions.and(taken_out, metadata);
            let not_taken_out = self.conditions.not(taken_out);
            let frame = self.masked_equal(Place::Network, 0, bpf::H, tag, VLAN_MASK);
            let frame = self.conditions.and(not_taken_out, frame);
            let number = self.conditions.or(metadata, frame);
            tagged = self.conditions.and(tagged, number);
        }
        self.layers.payload.register = Some(payload);
        self.layers.kind.register = Some(kind);
        Ok(tagged)
    }

    fn tag_taken_out(&mut self) -> CondId {
        let load = Insn::stmt(bpf::LD | bpf::ABS | bpf::B, METADATA_VLAN_PRESENT);
        self.conditions.test(Test::new(vec![load], bpf::JEQ, 1))
    }

    pub(super) fn mpls(&mut self, label: Option<u32>) -> Result<CondId> {
        let mut labelled = if self.layers.labels > 0 {
            // The label before this one must not be the bottom of the stack.
            self.masked_equal(Place::PreviousLabel, 2, bpf::B, 0, 1)
        } else {
            match self.layers.link {
                Link::Ethernet => self.linktype(ETHERTYPE_MPLS)?,
                Link::Ppp => self.linktype(PPP_MPLS)?,
                other => return Err(FilterErrorKind::NotOnThisLink { what: "mpls", linktype: other.name() }),
            }
        };
        within("MPLS label", label, 0xf_ffff)?;
        if let Some(label) = label {
            let number = self.masked_equal(Place::Network, 0, bpf::W, label << 12, 0xffff_f000);
            labelled = self.conditions.and(labelled, number);
        }
        self.layers.network += 4;
        self.layers.network_over_llc += 4;
        self.layers.labels += 1;
        Ok(labelled)
    }

    pub(super) fn pppoes(&mut self, session: Option<u32>) -> Result<CondId> {
        const HEADER: u32 = 6;
        let mut in_session = self.linktype(ETHERTYPE_PPPOES)?;
        within("PPPoE session", session, 0xffff)?;
        if let Some(session) = session {
            let number = self.masked_equal(Place::Network, 0, bpf::W, session, 0xffff);
            in_session = self.conditions.and(in_session, number);
        }
        let layers = &mut self.layers;
        layers.link = Link::Ppp;
        layers.header = layers.payload.plus(layers.network + HEADER);
        layers.kind = layers.header;
        layers.payload = layers.header.plus(2);
        layers.network = 0;
        layers.network_over_llc = 0;
        layers.in_geneve = false;
        Ok(in_session)
    }
}

/// A test without statements that is always true.
fn always() -> Test {
    // Whatever A is, it is at least zero.
    Test::new(Vec::new(), bpf::JGE, 0)
}

fn within(what: &'static str, value: Option<u32>, max: u32) -> Result<()> {
    match value {
        Some(value) if value > max => Err(FilterErrorKind::OutOfRange { what, value, max }),
        _ => Ok(()),
    }
}
