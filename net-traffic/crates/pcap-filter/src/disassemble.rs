//! Prints programs as `tcpdump -d` does.

use std::fmt::Write;

use super::bpf::{self, Insn};

/// Prints a program, an instruction a line. Each line ends with a line break.
#[must_use]
pub fn disassemble(insns: &[Insn]) -> String {
    let mut text = String::new();
    for (at, insn) in insns.iter().enumerate() {
        let (name, operand) = format_insn(*insn, at);
        let conditional = insn.class() == bpf::JMP && insn.op() != bpf::JA;
        // Writing to a string cannot fail.
        let written = if conditional {
            let (yes, no) = (at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf));
            writeln!(text, "({at:03}) {name:<8} {operand:<16} jt {yes}\tjf {no}")
        } else {
            writeln!(text, "({at:03}) {name:<8} {operand}")
        };
        debug_assert!(written.is_ok());
    }
    text
}

/// The mnemonic and the operand.
fn format_insn(insn: Insn, at: usize) -> (&'static str, String) {
    let k = insn.k;
    match insn.class() {
        bpf::LD => {
            let name = match insn.size() {
                bpf::H => "ldh",
                bpf::B => "ldb",
                _ => "ld",
            };
            (name, load_operand(insn))
        }
        bpf::LDX if insn.mode() == bpf::MSH => ("ldxb", format!("4*([{k}]&0xf)")),
        bpf::LDX => ("ldx", load_operand(insn)),
        bpf::ST => ("st", format!("M[{k}]")),
        bpf::STX => ("stx", format!("M[{k}]")),
        bpf::ALU => calculation(insn),
        bpf::JMP => jump(insn, at),
        bpf::RET if insn.returns_a() => ("ret", String::new()),
        bpf::RET => ("ret", format!("#{k}")),
        _ if insn.copies_to_a() => ("txa", String::new()),
        _ => ("tax", String::new()),
    }
}

fn load_operand(insn: Insn) -> String {
    let k = insn.k;
    match insn.mode() {
        bpf::IMM => format!("#{k:#x}"),
        bpf::LEN => "#pktlen".to_owned(),
        bpf::MEM => format!("M[{k}]"),
        bpf::IND => format!("[x + {}]", k.cast_signed()),
        _ => match k {
            bpf::METADATA_PACKET_TYPE => "[type]".to_owned(),
            bpf::METADATA_IFINDEX => "[ifidx]".to_owned(),
            bpf::METADATA_VLAN_TCI => "[vlan_tci]".to_owned(),
            bpf::METADATA_VLAN_PRESENT => "[vlanp]".to_owned(),
            _ => format!("[{}]", k.cast_signed()),
        },
    }
}

fn calculation(insn: Insn) -> (&'static str, String) {
    let k = insn.k;
    let (name, constant) = match insn.op() {
        bpf::ADD => ("add", format!("#{k}")),
        bpf::SUB => ("sub", format!("#{k}")),
        bpf::MUL => ("mul", format!("#{k}")),
        bpf::DIV => ("div", format!("#{k}")),
        bpf::MOD => ("mod", format!("#{k}")),
        bpf::AND => ("and", format!("#{k:#x}")),
        bpf::OR => ("or", format!("#{k:#x}")),
        bpf::XOR => ("xor", format!("#{k:#x}")),
        bpf::LSH => ("lsh", format!("#{k}")),
        bpf::RSH => ("rsh", format!("#{k}")),
        _ => return ("neg", String::new()),
    };
    (name, if insn.uses_x() { "x".to_owned() } else { constant })
}

fn jump(insn: Insn, at: usize) -> (&'static str, String) {
    let name = match insn.op() {
        bpf::JEQ => "jeq",
        bpf::JGT => "jgt",
        bpf::JGE => "jge",
        bpf::JSET => "jset",
        _ => {
            let target = (at + 1).checked_add_signed(insn.k.cast_signed() as isize);
            return ("ja", target.map_or_else(String::new, |target| target.to_string()));
        }
    };
    (name, if insn.uses_x() { "x".to_owned() } else { format!("#{:#x}", insn.k) })
}
