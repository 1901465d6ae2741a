//! Classic BPF: the instruction, and the values of its opcode. The names are those of
//! <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/bpf_common.h>, without `BPF_`.

/// One classic BPF instruction, with the fields of `struct sock_filter`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Insn {
    /// The operation: a class with its size, mode, operation and source.
    pub code: u16,
    /// A conditional jump's distance if the condition is true, in instructions from the next one.
    pub jt: u8,
    /// A conditional jump's distance if the condition is false.
    pub jf: u8,
    /// The constant. For an unconditional jump its distance, in two's complement: `protochain` jumps backwards.
    pub k: u32,
}

impl Insn {
    /// Any instruction but a conditional jump.
    #[must_use]
    pub const fn stmt(code: u16, k: u32) -> Self {
        Self { code, jt: 0, jf: 0, k }
    }

    /// A conditional jump over `jt` or `jf` instructions.
    #[must_use]
    pub const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> Self {
        Self { code, jt, jf, k }
    }

    /// The class: one of [`LD`], [`LDX`], [`ST`], [`STX`], [`ALU`], [`JMP`], [`RET`], [`MISC`].
    #[must_use]
    pub const fn class(self) -> u16 {
        self.code & 0x07
    }

    /// The width of a load: [`W`], [`H`] or [`B`].
    #[must_use]
    pub const fn size(self) -> u16 {
        self.code & 0x18
    }

    /// The addressing mode of a load: [`IMM`], [`ABS`], [`IND`], [`MEM`], [`LEN`] or [`MSH`].
    #[must_use]
    pub const fn mode(self) -> u16 {
        self.code & 0xe0
    }

    /// The operation of an [`ALU`] or [`JMP`] instruction.
    #[must_use]
    pub const fn op(self) -> u16 {
        self.code & 0xf0
    }

    /// Whether a [`RET`] instruction returns A and not `k`.
    pub(crate) const fn returns_a(self) -> bool {
        self.code & 0x18 == 0x10
    }

    /// Whether a [`MISC`] instruction copies X to A, and not A to X.
    pub(crate) const fn copies_to_a(self) -> bool {
        self.code & 0xf8 == TXA
    }

    /// Whether the second operand of an [`ALU`] or [`JMP`] instruction is X and not `k`.
    #[must_use]
    pub const fn uses_x(self) -> bool {
        self.code & X != 0
    }
}

/// The number of words of scratch memory, `M[0]` to `M[15]`.
pub const MEMORY_WORDS: usize = 16;
/// The most instructions in a program: `BPF_MAXINSNS` of Linux.
pub const MAX_INSNS: usize = 4096;
/// The most backward jumps of one run. One more, and the run ends with "reject".
pub const MAX_BACKWARD_JUMPS: u32 = 64;

/// Class: load into A.
pub const LD: u16 = 0x00;
/// Class: load into X.
pub const LDX: u16 = 0x01;
/// Class: store A in scratch memory.
pub const ST: u16 = 0x02;
/// Class: store X in scratch memory.
pub const STX: u16 = 0x03;
/// Class: arithmetic on A.
pub const ALU: u16 = 0x04;
/// Class: jump.
pub const JMP: u16 = 0x05;
/// Class: return.
pub const RET: u16 = 0x06;
/// Class: copy between A and X.
pub const MISC: u16 = 0x07;

/// Size of a load: 4 bytes.
pub const W: u16 = 0x00;
/// Size of a load: 2 bytes.
pub const H: u16 = 0x08;
/// Size of a load: 1 byte.
pub const B: u16 = 0x10;

/// Mode of a load: the constant.
pub const IMM: u16 = 0x00;
/// Mode of a load: from the packet, at `k`.
pub const ABS: u16 = 0x20;
/// Mode of a load: from the packet, at `X + k`.
pub const IND: u16 = 0x40;
/// Mode of a load: from scratch memory.
pub const MEM: u16 = 0x60;
/// Mode of a load: the length of the packet.
pub const LEN: u16 = 0x80;
/// Mode of a load: the length of the IPv4 header at `k`.
pub const MSH: u16 = 0xa0;

/// Operation of [`ALU`]: add.
pub const ADD: u16 = 0x00;
/// Operation of [`ALU`]: subtract.
pub const SUB: u16 = 0x10;
/// Operation of [`ALU`]: multiply.
pub const MUL: u16 = 0x20;
/// Operation of [`ALU`]: divide.
pub const DIV: u16 = 0x30;
/// Operation of [`ALU`]: bitwise or.
pub const OR: u16 = 0x40;
/// Operation of [`ALU`]: bitwise and.
pub const AND: u16 = 0x50;
/// Operation of [`ALU`]: shift left.
pub const LSH: u16 = 0x60;
/// Operation of [`ALU`]: shift right.
pub const RSH: u16 = 0x70;
/// Operation of [`ALU`]: negate.
pub const NEG: u16 = 0x80;
/// Operation of [`ALU`]: remainder.
pub const MOD: u16 = 0x90;
/// Operation of [`ALU`]: exclusive or.
pub const XOR: u16 = 0xa0;

/// Operation of [`JMP`]: always.
pub const JA: u16 = 0x00;
/// Operation of [`JMP`]: if equal.
pub const JEQ: u16 = 0x10;
/// Operation of [`JMP`]: if greater.
pub const JGT: u16 = 0x20;
/// Operation of [`JMP`]: if greater or equal.
pub const JGE: u16 = 0x30;
/// Operation of [`JMP`]: if a bit is set in both.
pub const JSET: u16 = 0x40;

/// Source of an operand: the constant.
pub const K: u16 = 0x00;
/// Source of an operand: the register X.
pub const X: u16 = 0x08;

/// Operation of [`MISC`]: copy A to X.
pub const TAX: u16 = 0x00;
/// Operation of [`MISC`]: copy X to A.
pub const TXA: u16 = 0x80;

/// Absolute loads from here on read what Linux knows of the packet, not its bytes (`SKF_AD_OFF`,
/// <https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/linux/filter.h#L65>).
pub const METADATA: u32 = 0xffff_f000;
/// Metadata: the packet type, 4 for an outgoing packet (`SKF_AD_PKTTYPE`).
pub const METADATA_PACKET_TYPE: u32 = METADATA + 4;
/// Metadata: the interface index (`SKF_AD_IFINDEX`).
pub const METADATA_IFINDEX: u32 = METADATA + 8;
/// Metadata: the tag control information of a VLAN tag that was taken out of the frame (`SKF_AD_VLAN_TAG`).
pub const METADATA_VLAN_TCI: u32 = METADATA + 44;
/// Metadata: whether a VLAN tag was taken out of the frame (`SKF_AD_VLAN_TAG_PRESENT`).
pub const METADATA_VLAN_PRESENT: u32 = METADATA + 48;
