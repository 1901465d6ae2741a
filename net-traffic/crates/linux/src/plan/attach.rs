//! Where a program can attach.

use net_traffic_snapshot::Tier;

/// How the kernel is made to run a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// A BTF tracepoint of this name.
    Tracepoint(&'static str),
    /// The entry of a function.
    Entry(&'static str),
    /// The exit of a function, with its arguments.
    Exit(&'static str),
    /// A breakpoint at the entry of a function.
    Probe(&'static str),
    /// A breakpoint at its return.
    ReturnProbe(&'static str),
    /// The release of a socket anywhere below the root cgroup.
    CgroupRelease,
    /// The creation of a socket anywhere below the root cgroup.
    CgroupCreate,
    /// An iterator over all descriptors.
    Descriptors,
    /// An iterator over the TCP sockets of each network namespace.
    Connections,
    /// An iterator over a map, named here.
    Map(&'static str),
    /// Every packet that crosses an interface, by a link that the kernel removes when we end.
    Tcx(Crossing),
    /// The same by a filter of a queueing discipline, which stays unless it is removed.
    Clsact(Crossing),
    /// Every packet that an interface receives, before the stack sees it.
    Xdp,
}

/// Which way a packet crosses an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Crossing {
    In,
    Out,
}

impl Attach {
    /// The kind of hook, as reports name it; for those of the hot path, the tier's name.
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
}
