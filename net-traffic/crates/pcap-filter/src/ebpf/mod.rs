//! Translates classic BPF to eBPF for a Linux kernel. The caller loads the result.
//!
//! The result is one function. R1 holds the context (`struct __sk_buff` or `struct xdp_md`,
//! <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf.h#L6240>). R0 returns what the classic program
//! returns, 0 for "reject". The function refers to no map and its jumps are relative, so a caller can load it as a
//! program, or append it to a program that calls it. It uses 88 bytes of stack.

mod insn;
mod packet;

pub use insn::{EbpfInsn, Register};

use thiserror::Error;

use super::bpf::{self, Insn, MAX_BACKWARD_JUMPS};
use insn::{
    Compare, calculate, calculate_imm, copy, exit, jump, jump_if, jump_if_imm, jump_if_wide_imm, load,
    load_double, set, store_double, store_word, store_zero_double, store_zero_word,
};

/// The hook that the program runs at. It determines the context and the access to the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hook {
    /// TC or TCX, received packets.
    TcIngress,
    /// TC or TCX, sent packets. At this hook the kernel has not set the packet type to `PACKET_OUTGOING` yet; the
    /// translation treats each packet as outgoing.
    TcEgress,
    /// XDP: received packets, without a VLAN tag that the hardware took out of the frame.
    Xdp,
}

/// Why a program is not translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TranslateError {
    /// The instruction at this index is invalid.
    #[error("instruction {0} is not classic BPF, or jumps out of the program")]
    Invalid(usize),
    /// The jump at this index does not fit the 16-bit offset of eBPF.
    #[error("the jump of instruction {0} is too far for eBPF")]
    TooFar(usize),
}

/// Translates a program.
///
/// # Errors
/// If an instruction is invalid, jumps out of the program, or jumps over more than 32767 eBPF instructions.
pub fn translate(insns: &[Insn], hook: Hook) -> Result<Vec<EbpfInsn>, TranslateError> {
    let mut translation = Translation {
        hook,
        is_long: insns.len() > LONG,
        code: Vec::new(),
        starts: Vec::with_capacity(insns.len()),
        jumps: Vec::new(),
    };
    translation.prologue(insns);
    for (at, insn) in insns.iter().enumerate() {
        translation.starts.push(translation.code.len());
        translation.insn(at, *insn)?;
    }
    translation.finish()
}

/// The use of the registers. R0 to R5 are temporary; a helper call overwrites them.
const CONTEXT: Register = Register::R6;
const A: Register = Register::R7;
const X: Register = Register::R8;
/// The start of the packet, for XDP.
const DATA: Register = Register::R9;
const FRAME: Register = Register::R10;

/// The stack from the top: the bytes of a load by helper, the count of backward jumps, scratch memory.
const LOADED: i16 = -8;
/// A part of `LOADED`, which is free between loads. For X, to drop what the verifier tracks of it.
const UNTRACKED: i16 = -4;
const BACKWARD_JUMPS: i16 = -16;
const MEMORY_TOP: i16 = -16;

/// A filter of more instructions gets shorter code for each load: its jumps stay within 16 bits, and the verifier has
/// fewer paths to follow.
const LONG: usize = 512;

struct Translation {
    hook: Hook,
    is_long: bool,
    code: Vec<EbpfInsn>,
    /// The eBPF index of each classic instruction.
    starts: Vec<usize>,
    jumps: Vec<Jump>,
}

/// A jump whose offset is filled in at the end.
struct Jump {
    /// The index of the eBPF instruction.
    at: usize,
    /// The index of the classic instruction that it belongs to.
    within: usize,
    target: Target,
}

#[derive(Clone, Copy)]
enum Target {
    Insn(usize),
    Reject,
}

impl Translation {
    /// Sets A, X and the scratch words that the program reads to zero. The verifier refuses a read of uninitialized stack.
    fn prologue(&mut self, insns: &[Insn]) {
        self.code.extend([copy(CONTEXT, Register::R1), set(A, 0), set(X, 0)]);
        if self.hook == Hook::Xdp {
            self.code.push(load(DATA, insn::Width::Word, CONTEXT, packet::XDP_DATA));
        }
        let reads = |insn: &&Insn| matches!(insn.class(), bpf::LD | bpf::LDX) && insn.mode() == bpf::MEM;
        let mut words: Vec<u32> = insns.iter().filter(reads).map(|insn| insn.k).collect();
        words.sort_unstable();
        words.dedup();
        self.code.extend(words.into_iter().filter_map(memory).map(store_zero_word));
        if insns.iter().any(|insn| goes_back(*insn)) {
            self.code.push(store_zero_double(BACKWARD_JUMPS));
        }
    }

    fn insn(&mut self, at: usize, insn: Insn) -> Result<(), TranslateError> {
        match insn.class() {
            bpf::LD | bpf::LDX => self.load(at, insn),
            bpf::ST => {
                self.code.push(store_word(memory(insn.k).ok_or(TranslateError::Invalid(at))?, A));
                Ok(())
            }
            bpf::STX => {
                self.code.push(store_word(memory(insn.k).ok_or(TranslateError::Invalid(at))?, X));
                Ok(())
            }
            bpf::ALU => self.calculation(at, insn),
            bpf::JMP => self.branch(at, insn),
            bpf::RET => {
                let returned =
                    if insn.returns_a() { copy(Register::R0, A) } else { set(Register::R0, insn.k) };
                self.code.extend([returned, exit()]);
                Ok(())
            }
            _ => {
                self.code.push(if insn.copies_to_a() { copy(A, X) } else { copy(X, A) });
                Ok(())
            }
        }
    }

    fn load(&mut self, at: usize, insn: Insn) -> Result<(), TranslateError> {
        let register = if insn.class() == bpf::LD { A } else { X };
        match insn.mode() {
            bpf::IMM => self.code.push(set(register, insn.k)),
            bpf::MEM => {
                let word = memory(insn.k).ok_or(TranslateError::Invalid(at))?;
                self.code.push(load(register, insn::Width::Word, FRAME, word));
            }
            bpf::LEN => self.load_length(register),
            bpf::ABS if register == A && insn.k >= bpf::METADATA => self.load_metadata(at, insn.k)?,
            bpf::ABS if register == A => self.load_fixed(at, insn, A),
            bpf::IND if register == A => self.load_indirect(at, insn),
            bpf::MSH if register == X => {
                self.load_fixed(at, Insn::stmt(bpf::LD | bpf::ABS | bpf::B, insn.k), X);
                self.code.extend([calculate_imm(bpf::AND, X, 0xf), calculate_imm(bpf::LSH, X, 2)]);
            }
            _ => return Err(TranslateError::Invalid(at)),
        }
        Ok(())
    }

    fn calculation(&mut self, at: usize, insn: Insn) -> Result<(), TranslateError> {
        let op = insn.op();
        let known = matches!(
            op,
            bpf::ADD
                | bpf::SUB
                | bpf::MUL
                | bpf::DIV
                | bpf::MOD
                | bpf::AND
                | bpf::OR
                | bpf::XOR
                | bpf::LSH
                | bpf::RSH
        );
        let (shifts, divides) = (matches!(op, bpf::LSH | bpf::RSH), matches!(op, bpf::DIV | bpf::MOD));
        match (op, insn.uses_x()) {
            (bpf::NEG, _) => self.code.push(calculate_imm(op, A, 0)),
            _ if !known => return Err(TranslateError::Invalid(at)),
            (_, false) if divides && insn.k == 0 => self.reject(at),
            (_, false) if shifts && insn.k > 31 => self.code.push(set(A, 0)),
            (_, false) => self.code.push(calculate_imm(op, A, insn.k)),
            (_, true) if divides => {
                self.jump_to_reject(at, jump_if_imm(Compare::Equal, X, 0));
                self.code.push(calculate(op, A, X));
            }
            (_, true) if shifts => {
                // A shift by more than 31 gives 0 in classic BPF. eBPF shifts by the lower five bits.
                let mut over = jump_if_imm(Compare::LessEqual, X, 31);
                over.offset = 2;
                let mut done = jump();
                done.offset = 1;
                self.code.extend([over, set(A, 0), done, calculate(op, A, X)]);
            }
            (_, true) => self.code.push(calculate(op, A, X)),
        }
        Ok(())
    }

    fn branch(&mut self, at: usize, insn: Insn) -> Result<(), TranslateError> {
        let next = at + 1;
        if insn.op() == bpf::JA {
            let distance = insn.k.cast_signed() as isize;
            let target = next.checked_add_signed(distance).ok_or(TranslateError::Invalid(at))?;
            if goes_back(insn) {
                self.count_backward_jump(at);
            }
            self.jump(at, jump(), Target::Insn(target));
            return Ok(());
        }
        let (yes, no) = (next + usize::from(insn.jt), next + usize::from(insn.jf));
        let (compare, opposite) = match insn.op() {
            bpf::JEQ => (Compare::Equal, Some(Compare::NotEqual)),
            bpf::JGT => (Compare::Greater, Some(Compare::LessEqual)),
            bpf::JGE => (Compare::GreaterEqual, Some(Compare::Less)),
            bpf::JSET => (Compare::AnyBit, None),
            _ => return Err(TranslateError::Invalid(at)),
        };
        let conditional = |compare| {
            if insn.uses_x() { jump_if(compare, A, X) } else { jump_if_imm(compare, A, insn.k) }
        };
        match opposite {
            Some(opposite) if yes == next => self.jump(at, conditional(opposite), Target::Insn(no)),
            _ => {
                self.jump(at, conditional(compare), Target::Insn(yes));
                if no != next {
                    self.jump(at, jump(), Target::Insn(no));
                }
            }
        }
        Ok(())
    }

    /// Counts a backward jump, and rejects after the last one, so that the verifier finds an end of the loop.
    fn count_backward_jump(&mut self, at: usize) {
        let limit = i32::try_from(MAX_BACKWARD_JUMPS).unwrap_or(i32::MAX);
        self.code.extend([load_double(Register::R1, FRAME, BACKWARD_JUMPS), insn::add_imm(Register::R1, 1)]);
        self.jump_to_reject(at, jump_if_wide_imm(Compare::Greater, Register::R1, limit));
        self.code.push(store_double(BACKWARD_JUMPS, Register::R1));
        // The verifier tracks no value that is stored at an offset not aligned to eight. After this store and load X is
        // unknown on each path through the loop, so the verifier prunes all but one of them.
        self.code.extend([store_word(UNTRACKED, X), load(X, insn::Width::Word, FRAME, UNTRACKED)]);
    }

    fn reject(&mut self, within: usize) {
        self.jump_to_reject(within, jump());
    }

    fn jump_to_reject(&mut self, within: usize, insn: EbpfInsn) {
        self.jump(within, insn, Target::Reject);
    }

    fn jump(&mut self, within: usize, insn: EbpfInsn, target: Target) {
        self.jumps.push(Jump { at: self.code.len(), within, target });
        self.code.push(insn);
    }

    /// Appends the rejecting end, if a jump leads there, and fills in the offsets of the jumps.
    fn finish(mut self) -> Result<Vec<EbpfInsn>, TranslateError> {
        let reject = self.code.len();
        if self.jumps.iter().any(|jump| matches!(jump.target, Target::Reject)) {
            self.code.extend([set(Register::R0, 0), exit()]);
        }
        for jump in &self.jumps {
            let target = match jump.target {
                Target::Reject => reject,
                Target::Insn(index) => *self.starts.get(index).ok_or(TranslateError::Invalid(jump.within))?,
            };
            let distance = target.wrapping_sub(jump.at + 1).cast_signed();
            let offset = i16::try_from(distance).ok().ok_or(TranslateError::TooFar(jump.within))?;
            if let Some(insn) = self.code.get_mut(jump.at) {
                insn.offset = offset;
            }
        }
        Ok(self.code)
    }
}

/// The stack offset of a word of scratch memory.
fn memory(word: u32) -> Option<i16> {
    let word = i16::try_from(word)
        .ok()
        .filter(|word| usize::try_from(*word).is_ok_and(|w| w < bpf::MEMORY_WORDS))?;
    Some(MEMORY_TOP - 4 * (word + 1))
}

fn goes_back(insn: Insn) -> bool {
    insn.class() == bpf::JMP && insn.op() == bpf::JA && insn.k.cast_signed() < 0
}
