//! The options of a live source, and the errors of opening one. Every operating system has the same.

use std::path::PathBuf;

/// What a live source reads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LiveOptions {
    pub counting: Counting,
    pub tier: Tier,
    /// `None`: the caller's own network namespace.
    pub netns: Option<Netns>,
    /// The sockets of all network namespaces. `netns` then selects the interfaces only.
    pub everywhere: bool,
    pub sockets: SocketFilter,
    /// Try every tier, and report for each whether this kernel grants it.
    pub survey: bool,
    /// Query the kernel for the waits and windows of established TCP connections, also where programs count.
    pub waits: bool,
}

/// What the kernel counts while bytes move.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Counting {
    /// Nothing. TCP keeps lifetime counters without a program, which is enough for one list of connections.
    #[default]
    No,
    /// The bytes of sockets and processes.
    Sockets,
    /// The same, and the bytes of each interface by owner.
    SocketsAndInterfaces {
        /// Count the received frames of these interfaces by XDP, before another program can drop them. An empty list is
        /// every interface, `None` none.
        xdp: Option<Vec<String>>,
    },
    /// The bytes of sockets and processes. The descendants of this process are marked. A refusal to count is an error.
    Descendants,
}

impl Counting {
    /// The interfaces whose received frames XDP counts.
    #[must_use]
    pub fn xdp(&self) -> Option<&[String]> {
        match self {
            Self::SocketsAndInterfaces { xdp } => xdp.as_deref(),
            Self::No | Self::Sockets | Self::Descendants => None,
        }
    }
}

/// How bytes are counted. The order is the order of preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The best that the kernel and the privileges allow.
    #[default]
    Auto,
    /// BTF tracepoints: stable arguments, cheapest.
    TpBtf,
    /// BPF trampolines at the entry and exit of kernel functions.
    Fentry,
    /// kprobes and kretprobes at the same functions.
    Kprobe,
    /// No programs: a query for the sockets at each reading.
    Polling,
}

impl Tier {
    /// The name in `--tier` and `doctor`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::TpBtf => "tp-btf",
            Self::Fentry => "fentry",
            Self::Kprobe => "kprobe",
            Self::Polling => "polling",
        }
    }
}

/// A network namespace, by the name that the user gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Netns {
    Path(PathBuf),
    /// The namespace of a process.
    Pid(u32),
    /// The inode, which reports print.
    Inode(u32),
}

/// The kinds of sockets to read. A source may also return others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each bool is one kind of socket")]
pub struct SocketFilter {
    pub tcp: bool,
    pub udp: bool,
    /// Raw, packet and all other protocols.
    pub others: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    pub connected: bool,
    /// Listening sockets, and sockets without a peer.
    pub unconnected: bool,
}

impl Default for SocketFilter {
    fn default() -> Self {
        Self {
            tcp: true,
            udp: true,
            others: true,
            ipv4: true,
            ipv6: true,
            connected: true,
            unconnected: true,
        }
    }
}

/// Why a live source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// An option names something that does not exist or that this kernel refuses.
    #[error("{0}")]
    Usage(String),
    /// The user lacks a privilege.
    #[error("{attempt} needs {capability}; {remedy}")]
    Privilege {
        /// The subject of the message: "counting with kprobe".
        attempt: String,
        capability: &'static str,
        /// The command that grants it.
        remedy: String,
    },
    #[error("failed to {attempt}: {cause}")]
    Failed { attempt: String, cause: std::io::Error },
}

/// The state of a command and of the processes that it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running,
    /// The command has ended; a process that it started has not.
    Outlived,
    /// The command and every process that it started have ended.
    Over,
    /// The user stopped the wait for the processes that outlived the command.
    Abandoned,
}

/// Why a command did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: {cause}", .command.to_string_lossy())]
    Refused { command: std::ffi::OsString, cause: std::io::Error },
}

impl StartError {
    /// The exit status of shells: 127 for a command that does not exist, 126 for one that cannot run.
    #[must_use]
    pub fn status(&self) -> u8 {
        let Self::Refused { cause, .. } = self;
        if cause.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
    }
}
