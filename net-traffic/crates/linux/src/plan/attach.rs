//! The attach points of programs.

use net_traffic_snapshot::Tier;

use crate::btf::Symbol;

/// Where the kernel runs a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Attach {
    /// A BTF tracepoint of this name.
    Tracepoint(&'static str),
    /// The entry of a kernel function (fentry).
    Entry(&'static str),
    /// The exit of a kernel function, with its arguments (fexit).
    Exit(&'static str),
    /// A kprobe at the entry of a function.
    Probe(&'static str),
    /// A kretprobe at its return.
    ReturnProbe(&'static str),
    /// The release of a socket anywhere below the root cgroup.
    CgroupRelease,
    /// The creation of a socket anywhere below the root cgroup.
    CgroupCreate,
    /// An iterator over all file descriptors.
    Descriptors,
    /// An iterator over the TCP sockets of each network namespace.
    Connections,
    /// An iterator over the map of this name.
    Map(&'static str),
    /// Every packet that crosses an interface, by a tcx link. The kernel removes the link when its descriptor is closed.
    Tcx(Crossing),
    /// The same by a filter of the clsact queueing discipline. The filter outlives the process.
    Clsact(Crossing),
    /// Every frame that an interface receives, before the network stack.
    Xdp,
}

/// The direction in which a packet crosses an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crossing {
    In,
    Out,
}

impl Attach {
    /// The kind of attach point as reports name it; on the hot path, the name of the tier.
    #[must_use]
    pub fn mechanism(self) -> &'static str {
        match self {
            Self::Tracepoint(_) => Tier::TpBtf.name(),
            Self::Entry(_) | Self::Exit(_) => Tier::Fentry.name(),
            Self::Probe(_) | Self::ReturnProbe(_) => Tier::Kprobe.name(),
            Self::CgroupRelease | Self::CgroupCreate => "cgroup",
            Self::Descriptors | Self::Connections | Self::Map(_) => "iter",
            Self::Tcx(_) => "tcx",
            Self::Clsact(_) => "clsact",
            Self::Xdp => "xdp",
        }
    }

    /// The symbol in the kernel's BTF that the program needs.
    #[must_use]
    pub fn symbol(self) -> Option<Symbol> {
        match self {
            Self::Tracepoint(event) => Some(Symbol::Tracepoint(event)),
            Self::Entry(function)
            | Self::Exit(function)
            | Self::Probe(function)
            | Self::ReturnProbe(function) => Some(Symbol::Function(function)),
            Self::Descriptors | Self::Connections | Self::Map(_) => {
                self.iterator_target().map(Symbol::Iterator)
            }
            Self::CgroupRelease | Self::CgroupCreate | Self::Tcx(_) | Self::Clsact(_) | Self::Xdp => None,
        }
    }

    /// The kernel's name for what an iterator walks over.
    #[must_use]
    pub fn iterator_target(self) -> Option<&'static str> {
        match self {
            Self::Descriptors => Some("task_file"),
            Self::Connections => Some("tcp"),
            Self::Map("nt_sockets") => Some("bpf_sk_storage_map"),
            Self::Map(_) => Some("bpf_map_elem"),
            _ => None,
        }
    }
}
