//! pcap-filter(7): expressions that choose packets, compiled to classic BPF with libpcap's meaning. No I/O, no OS.
//!
//! Text → tokens (`lexer`) → tree (`parser`, `syntax`) → tests (`generate`) → blocks (`graph`, `optimize`) → program
//! (`bpf`), which `interpret` runs, `disassemble` prints and `ebpf` translates for a Linux kernel.

#![forbid(unsafe_code)]

pub mod bpf;
mod disassemble;
pub mod ebpf;
mod error;
mod generate;
mod graph;
mod interpret;
mod lexer;
mod names;
mod optimize;
mod parser;
mod syntax;
mod words;

pub use bpf::Insn;
pub use disassemble::disassemble;
pub use error::{FilterError, FilterErrorKind, NumberError, Span};
pub use interpret::{Metadata, Packet, run};
pub use names::{FindHost, NameTable, Names, Service};

use graph::Graph;

/// The link-layer header that packets begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkType {
    /// An Ethernet header (`LINKTYPE_ETHERNET`).
    Ethernet,
    /// An IPv4 or IPv6 header (`LINKTYPE_RAW`, `LINKTYPE_IPV4`, `LINKTYPE_IPV6`).
    Raw,
    /// A Linux cooked header, version 1 (`LINKTYPE_LINUX_SLL`).
    LinuxSll,
    /// A Linux cooked header, version 2 (`LINKTYPE_LINUX_SLL2`).
    LinuxSll2,
}

/// The compiler does not support this link type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("link type {0} is not supported")]
pub struct UnsupportedLinkType(pub u16);

impl TryFrom<u16> for LinkType {
    type Error = UnsupportedLinkType;

    /// From the `LINKTYPE_` number of a capture file, as in <https://www.tcpdump.org/linktypes.html>.
    fn try_from(number: u16) -> Result<Self, UnsupportedLinkType> {
        Ok(match number {
            1 => Self::Ethernet,
            101 | 228 | 229 => Self::Raw,
            113 => Self::LinuxSll,
            276 => Self::LinuxSll2,
            other => return Err(UnsupportedLinkType(other)),
        })
    }
}

/// What the meaning of an expression depends on.
pub struct CompileOptions<'a> {
    pub linktype: LinkType,
    /// The netmask of the interface in host order, for `ip broadcast`.
    pub netmask: Option<u32>,
    /// What the program returns for a packet that it accepts.
    pub snaplen: u32,
    pub names: &'a dyn Names,
    /// Whether the program runs in Linux, where it can ask what the kernel knows about a packet: its direction, its
    /// interface, and the VLAN tag that was taken out of the frame. From a file it cannot.
    pub metadata: bool,
    pub optimize: bool,
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    pub insns: Vec<Insn>,
}

impl Program {
    /// Whether it was found that no packet can be accepted.
    #[must_use]
    pub fn rejects_all(&self) -> bool {
        self.insns.iter().all(|insn| insn.class() != bpf::RET || insn.k == 0)
    }
}

/// Compiles an expression. The empty one accepts every packet.
///
/// # Errors
/// When the expression has no meaning, or none for the link type. The error knows the place.
pub fn compile(expression: &str, options: &CompileOptions<'_>) -> Result<Program, FilterError> {
    let Some(expr) = parser::parse(expression)? else {
        return Ok(Program { insns: vec![Insn::stmt(bpf::RET | bpf::K, options.snaplen)] });
    };
    let generated = generate::generate(&expr, options)?;
    let mut graph = Graph::new(&generated, options.snaplen);
    // What is known of a loop would have to be found differently; libpcap leaves such programs as they are, too.
    if options.optimize && !generated.loops {
        optimize::optimize(&mut graph);
    }
    let insns = graph.layout();
    if insns.len() > bpf::MAX_INSNS {
        return Err(FilterError::new(FilterErrorKind::TooLong(bpf::MAX_INSNS), 0..expression.len()));
    }
    Ok(Program { insns })
}
