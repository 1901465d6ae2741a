//! Two empty eBPF programs, attached to the tracepoints of net-traffic's hot path.
//!
//! Their cost is the kernel's dispatch, which is the lower bound for every tracer at these tracepoints.

use anyhow::{Context, Result};
use aya::{Btf, Ebpf, programs::BtfTracePoint};
use object::{
    Architecture, BinaryFormat, Endianness, SectionKind, SymbolFlags, SymbolKind, SymbolScope,
    write::{Object, Symbol, SymbolSection},
};

/// net-traffic attaches to these on kernels that have them.
/// <https://github.com/gregkh/linux/blob/v6.12.117/include/trace/events/sock.h#L299>
const TRACEPOINTS: [&str; 2] = ["sock_send_length", "sock_recv_length"];
/// `r0 = 0; exit`.
const PROGRAM: [u8; 16] = [0xb7, 0, 0, 0, 0, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0];

/// Dropping it detaches the programs.
pub(super) struct EmptyPrograms {
    _attached: Ebpf,
}

impl EmptyPrograms {
    pub(super) fn attach() -> Result<Self> {
        let kernel = Btf::from_sys_fs().context("read the kernel's BTF")?;
        let mut programs = Ebpf::load(&object()?).context("load the empty programs")?;
        for tracepoint in TRACEPOINTS {
            let program: &mut BtfTracePoint =
                programs.program_mut(tracepoint).context("find the program")?.try_into()?;
            program.load(tracepoint, &kernel).with_context(|| format!("load at {tracepoint}"))?;
            program.attach().with_context(|| format!("attach at {tracepoint}"))?;
        }
        Ok(Self { _attached: programs })
    }
}

/// An ELF object with one section and one symbol per program, as a compiler writes it.
fn object() -> Result<Vec<u8>> {
    let mut object = Object::new(BinaryFormat::Elf, Architecture::Bpf, Endianness::Little);
    let license = object.add_section(Vec::new(), b"license".to_vec(), SectionKind::Data);
    object.set_section_data(license, b"GPL\0", 1);
    for tracepoint in TRACEPOINTS {
        let name = format!("tp_btf/{tracepoint}").into_bytes();
        let section = object.add_section(Vec::new(), name, SectionKind::Text);
        object.set_section_data(section, &PROGRAM, 8);
        object.add_symbol(Symbol {
            name: tracepoint.into(),
            value: 0,
            size: PROGRAM.len() as u64,
            kind: SymbolKind::Text,
            scope: SymbolScope::Dynamic,
            weak: false,
            section: SymbolSection::Section(section),
            flags: SymbolFlags::None,
        });
    }
    object.write().context("write the ELF object")
}

#[cfg(test)]
mod tests {
    use object::{Object as _, ObjectSection as _};

    use super::*;

    #[test]
    fn object_has_one_program_per_tracepoint() {
        let written = object().unwrap();
        let read = object::File::parse(&*written).unwrap();
        for tracepoint in TRACEPOINTS {
            let section = read.section_by_name(&format!("tp_btf/{tracepoint}")).unwrap();
            assert_eq!(section.data().unwrap(), PROGRAM);
        }
    }
}
