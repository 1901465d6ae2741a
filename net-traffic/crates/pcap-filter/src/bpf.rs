//! Classic BPF: the instruction and its opcode values. No meaning is given to them here.

/// One classic BPF instruction, as `struct sock_filter` has it.
///
/// `jt` and `jf` count instructions from the next one. `k` of an unconditional jump does the same, and may be
/// negative (two's complement) where a loop follows a chain of headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

impl Insn {
    /// A statement: anything but a conditional jump.
    #[must_use]
    pub const fn stmt(code: u16, k: u32) -> Self {
        Self { code, jt: 0, jf: 0, k }
    }

    /// A conditional jump.
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

    /// Whether the second operand of an [`ALU`] or [`JMP`] instruction is X and not `k`.
    #[must_use]
    pub const fn uses_x(self) -> bool {
        self.code & X != 0
    }
}

/// Words of scratch memory, `M[0]` to `M[15]`.
pub const MEMORY_WORDS: usize = 16;
/// The most instructions that a kernel takes, and that the compiler makes.
pub const MAX_INSNS: usize = 4096;
/// How often one run may jump backwards before it ends with "reject". Only `protochain` jumps backwards.
pub const MAX_BACKWARD_JUMPS: u32 = 64;

pub const LD: u16 = 0x00;
pub const LDX: u16 = 0x01;
pub const ST: u16 = 0x02;
pub const STX: u16 = 0x03;
pub const ALU: u16 = 0x04;
pub const JMP: u16 = 0x05;
pub const RET: u16 = 0x06;
pub const MISC: u16 = 0x07;

pub const W: u16 = 0x00;
pub const H: u16 = 0x08;
pub const B: u16 = 0x10;

pub const IMM: u16 = 0x00;
pub const ABS: u16 = 0x20;
pub const IND: u16 = 0x40;
pub const MEM: u16 = 0x60;
pub const LEN: u16 = 0x80;
pub const MSH: u16 = 0xa0;

pub const ADD: u16 = 0x00;
pub const SUB: u16 = 0x10;
pub const MUL: u16 = 0x20;
pub const DIV: u16 = 0x30;
pub const OR: u16 = 0x40;
pub const AND: u16 = 0x50;
pub const LSH: u16 = 0x60;
pub const RSH: u16 = 0x70;
pub const NEG: u16 = 0x80;
pub const MOD: u16 = 0x90;
pub const XOR: u16 = 0xa0;

pub const JA: u16 = 0x00;
pub const JEQ: u16 = 0x10;
pub const JGT: u16 = 0x20;
pub const JGE: u16 = 0x30;
pub const JSET: u16 = 0x40;

pub const K: u16 = 0x00;
pub const X: u16 = 0x08;

pub const TAX: u16 = 0x00;
pub const TXA: u16 = 0x80;

/// Absolute loads from here on read what Linux knows about the packet, not its octets.
pub const METADATA: u32 = 0xffff_f000;
/// Metadata: the packet type (4 = outgoing).
pub const METADATA_PACKET_TYPE: u32 = METADATA + 4;
/// Metadata: the interface index.
pub const METADATA_IFINDEX: u32 = METADATA + 8;
/// Metadata: the tag control information of the VLAN tag that was taken out of the frame.
pub const METADATA_VLAN_TCI: u32 = METADATA + 44;
/// Metadata: whether a VLAN tag was taken out of the frame.
pub const METADATA_VLAN_PRESENT: u32 = METADATA + 48;
