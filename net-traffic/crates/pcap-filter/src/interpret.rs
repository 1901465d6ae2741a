//! Runs classic BPF programs as a kernel does.

use super::bpf::{self, Insn, MAX_BACKWARD_JUMPS, MEMORY_WORDS};

/// A packet to run a program on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Packet<'a> {
    /// The captured bytes. A load beyond them rejects the packet.
    pub data: &'a [u8],
    /// The length of the packet, of which the capture may have kept less.
    pub wire_length: u32,
    /// What Linux knows of the packet. With `None`, a load of metadata rejects the packet.
    pub metadata: Option<Metadata>,
}

/// What Linux knows of a packet besides its bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The packet type, `PACKET_OUTGOING` (4) for an outgoing packet:
    /// <https://man7.org/linux/man-pages/man7/packet.7.html>.
    pub packet_type: u8,
    /// The index of the interface.
    pub ifindex: u32,
    /// The tag control information of a VLAN tag that was taken out of the frame.
    pub vlan_tci: Option<u16>,
}

/// Runs a program on a packet, and returns what the program returns. 0 rejects the packet. An invalid program rejects
/// every packet that reaches the invalid instruction.
#[must_use]
pub fn run(insns: &[Insn], packet: Packet<'_>) -> u32 {
    let machine = Machine { packet, a: 0, x: 0, memory: [0; MEMORY_WORDS] };
    machine.run(insns).unwrap_or(0)
}

struct Machine<'a> {
    packet: Packet<'a>,
    a: u32,
    x: u32,
    memory: [u32; MEMORY_WORDS],
}

impl Machine<'_> {
    /// `None` if the packet is rejected before the program returns.
    fn run(mut self, insns: &[Insn]) -> Option<u32> {
        let mut at: usize = 0;
        let mut backward = 0;
        loop {
            let insn = *insns.get(at)?;
            at += 1;
            match insn.class() {
                bpf::LD => self.a = self.load(insn)?,
                bpf::LDX => self.x = self.load_x(insn)?,
                bpf::ST => *self.memory.get_mut(insn.k as usize)? = self.a,
                bpf::STX => *self.memory.get_mut(insn.k as usize)? = self.x,
                bpf::ALU => self.a = self.calculate(insn)?,
                bpf::JMP if insn.op() == bpf::JA => {
                    let distance = insn.k.cast_signed();
                    at = at.checked_add_signed(distance as isize)?;
                    backward += u32::from(distance < 0);
                    if backward > MAX_BACKWARD_JUMPS {
                        return None;
                    }
                }
                bpf::JMP => at += usize::from(if self.compare(insn)? { insn.jt } else { insn.jf }),
                bpf::RET => return Some(if insn.returns_a() { self.a } else { insn.k }),
                _ if insn.copies_to_a() => self.a = self.x,
                _ => self.x = self.a,
            }
        }
    }

    fn load(&self, insn: Insn) -> Option<u32> {
        match insn.mode() {
            bpf::IMM => Some(insn.k),
            bpf::LEN => Some(self.packet.wire_length),
            bpf::MEM => self.memory.get(insn.k as usize).copied(),
            bpf::ABS if insn.k >= bpf::METADATA => self.metadata(insn.k),
            bpf::ABS => self.packet_bytes(insn.k, insn.size()),
            bpf::IND => self.packet_bytes(self.x.checked_add(insn.k)?, insn.size()),
            _ => None,
        }
    }

    fn load_x(&self, insn: Insn) -> Option<u32> {
        match insn.mode() {
            bpf::MSH => self.packet_bytes(insn.k, bpf::B).map(|byte| (byte & 0xf) << 2),
            bpf::IMM | bpf::LEN | bpf::MEM => self.load(insn),
            _ => None,
        }
    }

    fn packet_bytes(&self, at: u32, size: u16) -> Option<u32> {
        let at = at as usize;
        let width = match size {
            bpf::W => 4,
            bpf::H => 2,
            _ => 1,
        };
        let bytes = self.packet.data.get(at..at.checked_add(width)?)?;
        Some(bytes.iter().fold(0, |value, byte| value << 8 | u32::from(*byte)))
    }

    fn metadata(&self, k: u32) -> Option<u32> {
        let metadata = self.packet.metadata?;
        match k {
            bpf::METADATA_PACKET_TYPE => Some(metadata.packet_type.into()),
            bpf::METADATA_IFINDEX => Some(metadata.ifindex),
            bpf::METADATA_VLAN_PRESENT => Some(metadata.vlan_tci.is_some().into()),
            bpf::METADATA_VLAN_TCI => Some(metadata.vlan_tci.unwrap_or(0).into()),
            _ => None,
        }
    }

    fn calculate(&self, insn: Insn) -> Option<u32> {
        calculate(insn.op(), self.a, if insn.uses_x() { self.x } else { insn.k })
    }

    fn compare(&self, insn: Insn) -> Option<bool> {
        compare(insn.op(), self.a, if insn.uses_x() { self.x } else { insn.k })
    }
}

/// The result of an arithmetic operation. `None` for a division by zero. A shift by more than 31 gives 0.
pub(super) fn calculate(op: u16, a: u32, b: u32) -> Option<u32> {
    Some(match op {
        bpf::ADD => a.wrapping_add(b),
        bpf::SUB => a.wrapping_sub(b),
        bpf::MUL => a.wrapping_mul(b),
        bpf::DIV => a.checked_div(b)?,
        bpf::MOD => a.checked_rem(b)?,
        bpf::AND => a & b,
        bpf::OR => a | b,
        bpf::XOR => a ^ b,
        bpf::LSH => a.checked_shl(b).unwrap_or(0),
        bpf::RSH => a.checked_shr(b).unwrap_or(0),
        bpf::NEG => a.wrapping_neg(),
        _ => return None,
    })
}

/// Whether a conditional jump's condition is true.
pub(super) fn compare(op: u16, a: u32, b: u32) -> Option<bool> {
    Some(match op {
        bpf::JEQ => a == b,
        bpf::JGT => a > b,
        bpf::JGE => a >= b,
        bpf::JSET => a & b != 0,
        _ => return None,
    })
}
