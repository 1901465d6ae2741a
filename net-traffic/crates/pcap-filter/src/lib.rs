//! Compiles pcap-filter(7) expressions to classic BPF, with the meaning that libpcap 1.10.3 gives them.
//!
//! The language is that of tcpdump and Wireshark's capture filters:
//! <https://www.tcpdump.org/manpages/pcap-filter.7.html>. The crate makes no system call and reads no file.
//!
//! # Example
//!
//! ```
//! use pcap_filter::{CompileOptions, LinkType, NameTable, Packet, compile, run};
//!
//! # fn main() -> Result<(), pcap_filter::FilterError> {
//! // The contents of /etc/services and /etc/protocols.
//! let names = NameTable::parse("https 443/tcp\n", "tcp 6 TCP\n");
//! let options = CompileOptions::new(LinkType::Raw, &names);
//! let program = compile("tcp dst port https and not src host 10.0.0.1", &options)?;
//!
//! let mut packet = vec![0x45, 0, 0, 24, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, 2, 10, 0, 0, 9, 0x80, 0, 0x01, 0xbb];
//! let accepts = |data: &[u8]| run(&program.insns, Packet { data, wire_length: 24, metadata: None }) != 0;
//! assert!(accepts(&packet));
//! packet[15] = 1;
//! assert!(!accepts(&packet));
//!
//! let error = compile("tcp prot 80", &options).unwrap_err();
//! assert_eq!(error.span, 4..8);
//! # Ok(())
//! # }
//! ```
//!
//! # What the parts do
//!
//! [`compile`] makes a [`Program`] of [`Insn`]s, for one [`LinkType`]. [`run`] interprets it, [`disassemble`] prints it
//! as `tcpdump -d` does, and [`ebpf::translate`] makes an eBPF function of it for a Linux kernel.
//!
//! Inside, an expression passes through `lexer` (tokens), `parser` and `syntax` (tree), `generate` (tests), `graph`
//! (basic blocks) and `optimize`.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

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

/// What the meaning of an expression depends on, besides its text.
pub struct CompileOptions<'a> {
    /// The header that packets begin with.
    pub linktype: LinkType,
    /// The netmask of the interface in host order, for `ip broadcast`. `None`: an expression with `ip broadcast` is
    /// refused.
    pub netmask: Option<u32>,
    /// What the program returns for a packet that it accepts.
    pub snaplen: u32,
    /// Resolves the names in an expression.
    pub names: &'a dyn Names,
    /// Whether the program may load [`Metadata`]: for a program that runs in a Linux kernel. In a capture file only the
    /// bytes of a packet are known.
    pub metadata: bool,
    /// Whether to run the optimizer.
    pub optimize: bool,
}

impl<'a> CompileOptions<'a> {
    /// The snapshot length of tcpdump.
    const SNAPLEN: u32 = 262_144;

    /// For packets of a file: no netmask, no metadata, tcpdump's snapshot length, optimized.
    #[must_use]
    pub fn new(linktype: LinkType, names: &'a dyn Names) -> Self {
        Self { linktype, netmask: None, snaplen: Self::SNAPLEN, names, metadata: false, optimize: true }
    }
}

impl std::fmt::Debug for CompileOptions<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { linktype, netmask, snaplen, names: _, metadata, optimize } = self;
        f.debug_struct("CompileOptions")
            .field("linktype", linktype)
            .field("netmask", netmask)
            .field("snaplen", snaplen)
            .field("metadata", metadata)
            .field("optimize", optimize)
            .finish_non_exhaustive()
    }
}

/// A compiled expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The instructions, at most [`bpf::MAX_INSNS`]. The last one returns.
    pub insns: Vec<Insn>,
}

impl Program {
    /// Whether the compiler found that no packet can match: the program has no instruction that accepts.
    #[must_use]
    pub fn rejects_all(&self) -> bool {
        self.insns.iter().all(|insn| insn.class() != bpf::RET || insn.k == 0)
    }
}

/// Compiles an expression. The empty expression accepts every packet.
///
/// # Errors
/// If the expression is malformed, names something unknown, or has no meaning for the link type. The error holds the
/// place in the expression.
pub fn compile(expression: &str, options: &CompileOptions<'_>) -> Result<Program, FilterError> {
    let Some(expr) = parser::parse(expression)? else {
        return Ok(Program { insns: vec![Insn::stmt(bpf::RET | bpf::K, options.snaplen)] });
    };
    let generated = generate::generate(&expr, options)?;
    let mut graph = Graph::new(&generated, options.snaplen);
    // The optimizer's analysis assumes a graph without loops. libpcap does not optimize loops either.
    if options.optimize && !generated.loops {
        optimize::optimize(&mut graph);
    }
    let insns = graph.layout();
    if insns.len() > bpf::MAX_INSNS {
        return Err(FilterError::new(FilterErrorKind::TooLong(bpf::MAX_INSNS), 0..expression.len()));
    }
    Ok(Program { insns })
}
