//! Loads from the packet and its context. XDP reads the packet directly. TC reads the linear part of the socket buffer
//! directly, and the rest by a helper call, which takes ten times as long.

use super::super::bpf::{self, Insn};
use super::insn::{
    Compare, Register, Width, add, add_imm, call, copy, from_network_order, jump, jump_if_imm, jump_if_wide,
    jump_if_wide_imm, load, set, subtract,
};
use super::{A, CONTEXT, DATA, FRAME, Hook, LOADED, TranslateError, Translation, X};

/// Offsets in `struct xdp_md`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L6460>).
pub(super) const XDP_DATA: i16 = 0;
const XDP_DATA_END: i16 = 4;
const XDP_INGRESS_IFINDEX: i16 = 12;

/// Offsets in `struct __sk_buff`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L6240>).
const SKB_LENGTH: i16 = 0;
const SKB_PACKET_TYPE: i16 = 4;
const SKB_VLAN_PRESENT: i16 = 20;
const SKB_VLAN_TCI: i16 = 24;
const SKB_IFINDEX: i16 = 40;
const SKB_DATA: i16 = 76;
const SKB_DATA_END: i16 = 80;

/// `long bpf_skb_load_bytes(const void *skb, u32 offset, void *to, u32 len)`
/// (<https://man7.org/linux/man-pages/man7/bpf-helpers.7.html>).
const SKB_LOAD_BYTES: i32 = 26;
/// `PACKET_OUTGOING`
const OUTGOING: u32 = 4;
/// The verifier allows direct access up to `MAX_PACKET_OFF`
/// (<https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/verifier.c#L5826>), less the width of a load.
const MAX_DIRECT_OFFSET: i32 = 0xffff - 8;

impl Translation {
    /// Loads the length of the whole packet.
    pub(super) fn load_length(&mut self, register: Register) {
        if self.hook == Hook::Xdp {
            self.code.extend([load(register, Width::Word, CONTEXT, XDP_DATA_END), subtract(register, DATA)]);
        } else {
            self.code.push(load(register, Width::Word, CONTEXT, SKB_LENGTH));
        }
    }

    pub(super) fn load_metadata(&mut self, at: usize, k: u32) -> Result<(), TranslateError> {
        let field = |offset| load(A, Width::Word, CONTEXT, offset);
        let insn = match (k, self.hook) {
            (bpf::METADATA_PACKET_TYPE, Hook::TcIngress) => field(SKB_PACKET_TYPE),
            (bpf::METADATA_PACKET_TYPE, Hook::TcEgress) => set(A, OUTGOING),
            (bpf::METADATA_IFINDEX, Hook::Xdp) => field(XDP_INGRESS_IFINDEX),
            (bpf::METADATA_IFINDEX, _) => field(SKB_IFINDEX),
            (bpf::METADATA_PACKET_TYPE | bpf::METADATA_VLAN_PRESENT | bpf::METADATA_VLAN_TCI, Hook::Xdp) => {
                set(A, 0)
            }
            (bpf::METADATA_VLAN_PRESENT, _) => field(SKB_VLAN_PRESENT),
            (bpf::METADATA_VLAN_TCI, _) => field(SKB_VLAN_TCI),
            _ => return Err(TranslateError::Invalid(at)),
        };
        self.code.push(insn);
        Ok(())
    }

    /// Loads from a fixed offset into a register.
    pub(super) fn load_fixed(&mut self, at: usize, insn: Insn, register: Register) {
        let width = width(insn);
        let direct = self.hook == Hook::Xdp;
        match i32::try_from(insn.k) {
            Ok(offset) if direct && offset <= MAX_DIRECT_OFFSET => {
                self.code.push(copy(Register::R1, DATA));
                self.code.push(add_imm(Register::R1, offset));
                self.load_direct(at, width, register);
            }
            Ok(offset) if !direct => {
                self.code.push(set(Register::R2, offset.cast_unsigned()));
                self.load_from_buffer(at, width, register);
            }
            _ => self.reject(at),
        }
    }

    /// Loads into A from an offset plus X.
    pub(super) fn load_indirect(&mut self, at: usize, insn: Insn) {
        let width = width(insn);
        let direct = self.hook == Hook::Xdp;
        let farthest = if direct { MAX_DIRECT_OFFSET } else { i32::MAX };
        // The sum of two 32-bit numbers in 64 bits does not wrap.
        self.code.extend([set(Register::R2, insn.k), add(Register::R2, X)]);
        self.jump_to_reject(at, jump_if_wide_imm(Compare::Greater, Register::R2, farthest));
        if direct {
            self.code.extend([copy(Register::R1, DATA), add(Register::R1, Register::R2)]);
            self.load_direct(at, width, A);
        } else {
            self.load_from_buffer(at, width, A);
        }
    }

    /// Loads from the offset in R2.
    fn load_from_buffer(&mut self, at: usize, width: Width, register: Register) {
        /// The number of instructions of a load by helper.
        const BY_HELPER: i16 = 7;
        if !self.is_long {
            let mut too_far = jump_if_wide_imm(Compare::Greater, Register::R2, MAX_DIRECT_OFFSET);
            let mut outside = jump_if_wide(Compare::Greater, Register::R3, Register::R5);
            let mut done = jump();
            (too_far.offset, outside.offset, done.offset) = (8, 2, BY_HELPER);
            self.code.extend([
                too_far,
                load(Register::R1, Width::Word, CONTEXT, SKB_DATA),
                load(Register::R5, Width::Word, CONTEXT, SKB_DATA_END),
                add(Register::R1, Register::R2),
                copy(Register::R3, Register::R1),
                add_imm(Register::R3, width.bytes()),
                outside,
                load(register, width, Register::R1, 0),
                done,
            ]);
        }
        self.load_by_helper(at, width, register);
        self.swap_bytes(width, register);
    }

    fn load_by_helper(&mut self, at: usize, width: Width, register: Register) {
        self.code.extend([
            copy(Register::R1, CONTEXT),
            copy(Register::R3, FRAME),
            add_imm(Register::R3, LOADED.into()),
            set(Register::R4, width.bytes().cast_unsigned()),
            call(SKB_LOAD_BYTES),
        ]);
        self.jump_to_reject(at, jump_if_imm(Compare::NotEqual, Register::R0, 0));
        self.code.push(load(register, width, FRAME, LOADED));
    }

    /// Loads from the packet pointer in R1.
    fn load_direct(&mut self, at: usize, width: Width, register: Register) {
        self.code.extend([
            load(Register::R2, Width::Word, CONTEXT, XDP_DATA_END),
            copy(Register::R3, Register::R1),
            add_imm(Register::R3, width.bytes()),
        ]);
        self.jump_to_reject(at, jump_if_wide(Compare::Greater, Register::R3, Register::R2));
        self.code.push(load(register, width, Register::R1, 0));
        self.swap_bytes(width, register);
    }

    fn swap_bytes(&mut self, width: Width, register: Register) {
        if width != Width::Byte {
            self.code.push(from_network_order(register, width));
        }
    }
}

fn width(insn: Insn) -> Width {
    match insn.size() {
        bpf::W => Width::Word,
        bpf::H => Width::Half,
        _ => Width::Byte,
    }
}
