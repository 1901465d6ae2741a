//! The running kernel's BTF: the offsets of the members that the programs read, and the ids of what they attach to.
//!
//! The file has 5 MB, and its types take 30 MB when all of them are parsed. This module reads it once in a process and
//! keeps what [`plan`](crate::plan) names.

mod reader;

use std::sync::OnceLock;

use foldhash::{HashMap, HashMapExt};
use net_traffic_common::{ABSENT, Member, Offsets, Unit};

use self::reader::{Btf, kind};

const PATH: &str = "/sys/kernel/btf/vmlinux";

/// Why the offsets are unknown.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    #[error("read {PATH}: {0} (the kernel needs CONFIG_DEBUG_INFO_BTF)")]
    Read(#[from] std::io::Error),
    #[error("understand {PATH}: {0}")]
    Format(&'static str),
    #[error("find `{member}` in this kernel's struct {owner}")]
    Missing { owner: &'static str, member: &'static str },
}

/// A BTF type that a program attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Symbol {
    /// The typedef of a tracepoint's handler
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/include/trace/bpf_probe.h#L66>).
    Tracepoint(&'static str),
    Function(&'static str),
    /// The function of an iterator's target
    /// (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/bpf.h#L2443>).
    Iterator(&'static str),
}

impl Symbol {
    fn kind(self) -> u32 {
        match self {
            Self::Tracepoint(_) => kind::TYPEDEF,
            Self::Function(_) | Self::Iterator(_) => kind::FUNC,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Tracepoint(event) => format!("btf_trace_{event}"),
            Self::Function(function) => function.to_owned(),
            Self::Iterator(target) => format!("bpf_iter_{target}"),
        }
    }
}

/// The part of the running kernel's BTF that the loader needs.
#[derive(Clone, Debug, Default)]
pub struct KernelBtf {
    /// The offset of every member that the programs read.
    pub offsets: Offsets,
    /// The offset in `css_set` of the pointer to the controller's state, if this kernel has the controller.
    pub subsystem: Option<u32>,
    /// The symbols that this kernel has, by ascending id.
    symbols: Vec<(u32, Symbol)>,
}

impl KernelBtf {
    /// Reads the running kernel's BTF, once in a process. Later calls return the result of the first.
    ///
    /// # Errors
    /// When the kernel has no BTF, or lacks a member without which no program can count.
    pub fn of_this_kernel(
        controller: Option<&str>,
        symbols: impl Iterator<Item = Symbol>,
    ) -> Result<&'static Self, BtfError> {
        static KERNEL: OnceLock<KernelBtf> = OnceLock::new();
        if let Some(kernel) = KERNEL.get() {
            return Ok(kernel);
        }
        let blob = std::fs::read(PATH)?;
        let btf = Btf::parse(&blob)?;
        let kernel = Self {
            offsets: offsets_in(&btf)?,
            subsystem: controller.and_then(|controller| subsystem_in(&btf, controller)),
            symbols: symbols_in(&btf, symbols),
        };
        Ok(KERNEL.get_or_init(|| kernel))
    }

    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.symbols.iter().any(|(_, symbol)| matches!(symbol, Symbol::Function(known) if *known == name))
    }

    /// The symbols as aya looks them up: by name, for their ids. Every other type is an empty record.
    ///
    /// aya searches all types by name for each program. Here it finds a few dozen names.
    ///
    /// # Errors
    /// None that is known: aya understands what this crate writes.
    pub fn for_aya(&self) -> Result<aya::Btf, aya::BtfError> {
        let types = self.symbols.iter().map(|&(id, symbol)| (id, symbol.kind(), symbol.name()));
        aya::Btf::parse(&reader::write(types), aya::Endianness::default())
    }
}

/// The symbols that the blob has. Several functions may have one name; the first is taken, as aya does.
fn symbols_in(btf: &Btf<'_>, symbols: impl Iterator<Item = Symbol>) -> Vec<(u32, Symbol)> {
    let mut wanted: HashMap<(u32, Vec<u8>), Symbol> = HashMap::new();
    for symbol in symbols {
        wanted.insert((symbol.kind(), symbol.name().into_bytes()), symbol);
    }
    let mut found = Vec::new();
    for kind in [kind::TYPEDEF, kind::FUNC] {
        let mut names: HashMap<&[u8], Symbol> = wanted
            .iter()
            .filter(|((of, _), _)| *of == kind)
            .map(|((_, name), symbol)| (name.as_slice(), *symbol))
            .collect();
        for (id, name) in btf.names_of(kind) {
            if let Some(symbol) = names.remove(name) {
                found.push((id, symbol));
            }
        }
    }
    found.sort_unstable_by_key(|(id, _)| *id);
    found
}

fn offsets_in(btf: &Btf<'_>) -> Result<Offsets, BtfError> {
    let mut offsets = Offsets::look_up(|member| offset_in(btf, member))?;
    if !tracks_as_programs_read(btf) || offsets.nf_tuple == ABSENT {
        offsets.nfct = ABSENT;
    }
    Ok(offsets)
}

fn offset_in(btf: &Btf<'_>, member: &Member) -> Result<u32, BtfError> {
    let mut sum = 0;
    for &(owner, name) in member.path {
        let offset = match member.unit {
            Unit::Bytes => btf.offset_of(owner, name),
            Unit::Bits => btf.bit_offset_of(owner, name),
        };
        match offset {
            Some(offset) => sum += offset,
            None => return member.absent.ok_or(BtfError::Missing { owner, member: name }),
        }
    }
    Ok(sum)
}

/// Whether connection tracking entries have the layout that the programs read.
fn tracks_as_programs_read(btf: &Btf<'_>) -> bool {
    let layout = [
        btf.size_of("nf_conntrack_tuple_hash"),
        btf.size_of("nf_conntrack_tuple"),
        btf.offset_of("nf_conntrack_tuple", "dst"),
        btf.offset_of("nf_conntrack_man", "u"),
    ];
    layout == [Some(56), Some(40), Some(20), Some(16)]
}

fn subsystem_in(btf: &Btf<'_>, controller: &str) -> Option<u32> {
    const POINTER: u32 = 8;
    let index = btf.enumerator("cgroup_subsys_id", &format!("{controller}_cgrp_id"))?;
    Some(btf.offset_of("css_set", "subsys")? + POINTER * index)
}

#[cfg(test)]
mod tests {
    use aya_obj::btf::BtfKind;

    use super::*;

    #[test]
    fn symbols_keep_their_ids_for_aya() {
        let blob = reader::tests::blob();
        let btf = Btf::parse(&blob).unwrap();
        let wanted = [Symbol::Function("run"), Symbol::Function("walk"), Symbol::Tracepoint("run")];
        let symbols = symbols_in(&btf, wanted.into_iter());
        assert_eq!(symbols, [(7, Symbol::Function("run"))]);
        let kernel = KernelBtf { symbols, ..KernelBtf::default() };
        assert!(kernel.has_function("run") && !kernel.has_function("walk"));
        let btf = kernel.for_aya().unwrap();
        assert_eq!(btf.id_by_type_name_kind("run", BtfKind::Func).unwrap(), 7);
        assert!(btf.id_by_type_name_kind("walk", BtfKind::Func).is_err());
        assert!(btf.id_by_type_name_kind("run", BtfKind::Typedef).is_err());
    }
}
