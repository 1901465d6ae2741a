//! eBPF instructions: the encoding of
//! <https://www.kernel.org/doc/html/v6.12/bpf/standardization/instruction-set.html>, and constructors for those that the
//! translation emits.

/// One eBPF instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EbpfInsn {
    /// The opcode.
    pub code: u8,
    /// The destination register.
    pub dst: Register,
    /// The source register.
    pub src: Register,
    /// The distance of a jump, or the offset of a memory access.
    pub offset: i16,
    /// The immediate operand.
    pub imm: i32,
}

impl EbpfInsn {
    /// The bytes of `struct bpf_insn`, in the byte order of this machine.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let [dst, src] = [self.dst as u8, self.src as u8];
        let registers = if cfg!(target_endian = "little") { src << 4 | dst } else { dst << 4 | src };
        let [o1, o2] = self.offset.to_ne_bytes();
        let [i1, i2, i3, i4] = self.imm.to_ne_bytes();
        [self.code, registers, o1, o2, i1, i2, i3, i4]
    }
}

/// A register of eBPF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the instruction set numbers its registers")]
#[repr(u8)]
pub enum Register {
    R0,
    R1,
    R2,
    R3,
    R4,
    R5,
    R6,
    R7,
    R8,
    R9,
    /// The frame pointer, read-only.
    R10,
}

const LDX: u8 = 0x61;
const ST_DOUBLE: u8 = 0x7a;
const ST_WORD: u8 = 0x62;
const STX_WORD: u8 = 0x63;
const STX_DOUBLE: u8 = 0x7b;
const LDX_DOUBLE: u8 = 0x79;
const ALU32: u8 = 0x04;
const ALU64: u8 = 0x07;
const JMP: u8 = 0x05;
const JMP32: u8 = 0x06;
const FROM_REGISTER: u8 = 0x08;
const MOV: u8 = 0xb0;
const CALL: u8 = 0x80;
const EXIT: u8 = 0x90;
const TO_BIG_ENDIAN: u8 = 0xdc;

/// The width of a memory access.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Width {
    Word = 0x00,
    Half = 0x08,
    Byte = 0x10,
}

impl Width {
    pub(super) fn bytes(self) -> i32 {
        match self {
            Self::Word => 4,
            Self::Half => 2,
            Self::Byte => 1,
        }
    }
}

/// Comparisons, with the values of their jump operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Compare {
    Equal = 0x10,
    Greater = 0x20,
    GreaterEqual = 0x30,
    AnyBit = 0x40,
    NotEqual = 0x50,
    Less = 0xa0,
    LessEqual = 0xb0,
}

fn insn(code: u8, dst: Register, src: Register, offset: i16, imm: i32) -> EbpfInsn {
    EbpfInsn { code, dst, src, offset, imm }
}

/// `dst = imm`, 32 bits wide. The upper half becomes zero.
pub(super) fn set(dst: Register, imm: u32) -> EbpfInsn {
    insn(ALU32 | MOV, dst, Register::R0, 0, imm.cast_signed())
}

pub(super) fn copy(dst: Register, src: Register) -> EbpfInsn {
    insn(ALU64 | MOV | FROM_REGISTER, dst, src, 0, 0)
}

/// `dst = dst op imm`, 32 bits wide. The operations have the values of classic BPF.
pub(super) fn calculate_imm(op: u16, dst: Register, imm: u32) -> EbpfInsn {
    insn(ALU32 | operation(op), dst, Register::R0, 0, imm.cast_signed())
}

pub(super) fn calculate(op: u16, dst: Register, src: Register) -> EbpfInsn {
    insn(ALU32 | operation(op) | FROM_REGISTER, dst, src, 0, 0)
}

/// `dst = dst + imm`, 64 bits wide, for pointers.
pub(super) fn add_imm(dst: Register, imm: i32) -> EbpfInsn {
    insn(ALU64, dst, Register::R0, 0, imm)
}

pub(super) fn add(dst: Register, src: Register) -> EbpfInsn {
    insn(ALU64 | FROM_REGISTER, dst, src, 0, 0)
}

pub(super) fn subtract(dst: Register, src: Register) -> EbpfInsn {
    insn(ALU64 | 0x10 | FROM_REGISTER, dst, src, 0, 0)
}

pub(super) fn load(dst: Register, width: Width, src: Register, offset: i16) -> EbpfInsn {
    insn(LDX | width as u8, dst, src, offset, 0)
}

pub(super) fn load_double(dst: Register, src: Register, offset: i16) -> EbpfInsn {
    insn(LDX_DOUBLE, dst, src, offset, 0)
}

pub(super) fn store_word(offset: i16, src: Register) -> EbpfInsn {
    insn(STX_WORD, Register::R10, src, offset, 0)
}

pub(super) fn store_double(offset: i16, src: Register) -> EbpfInsn {
    insn(STX_DOUBLE, Register::R10, src, offset, 0)
}

pub(super) fn store_zero_word(offset: i16) -> EbpfInsn {
    insn(ST_WORD, Register::R10, Register::R0, offset, 0)
}

pub(super) fn store_zero_double(offset: i16) -> EbpfInsn {
    insn(ST_DOUBLE, Register::R10, Register::R0, offset, 0)
}

/// Converts a value in network byte order to a number.
pub(super) fn from_network_order(dst: Register, width: Width) -> EbpfInsn {
    insn(TO_BIG_ENDIAN, dst, Register::R0, 0, width.bytes() * 8)
}

pub(super) fn jump() -> EbpfInsn {
    insn(JMP, Register::R0, Register::R0, 0, 0)
}

/// Compares the lower halves.
pub(super) fn jump_if(compare: Compare, dst: Register, src: Register) -> EbpfInsn {
    insn(JMP32 | compare as u8 | FROM_REGISTER, dst, src, 0, 0)
}

pub(super) fn jump_if_imm(compare: Compare, dst: Register, imm: u32) -> EbpfInsn {
    insn(JMP32 | compare as u8, dst, Register::R0, 0, imm.cast_signed())
}

/// Compares all 64 bits, with an immediate that is not negative.
pub(super) fn jump_if_wide_imm(compare: Compare, dst: Register, imm: i32) -> EbpfInsn {
    insn(JMP | compare as u8, dst, Register::R0, 0, imm)
}

pub(super) fn jump_if_wide(compare: Compare, dst: Register, src: Register) -> EbpfInsn {
    insn(JMP | compare as u8 | FROM_REGISTER, dst, src, 0, 0)
}

pub(super) fn call(helper: i32) -> EbpfInsn {
    insn(JMP | CALL, Register::R0, Register::R0, 0, helper)
}

pub(super) fn exit() -> EbpfInsn {
    insn(JMP | EXIT, Register::R0, Register::R0, 0, 0)
}

fn operation(op: u16) -> u8 {
    // An operation is the upper half of a byte.
    u8::try_from(op & 0xf0).unwrap_or(0)
}
