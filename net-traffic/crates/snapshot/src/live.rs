//! What a live source is asked for, and why it may refuse; the same on every system.

use std::path::PathBuf;

/// What is wanted of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "questions that are asked or not, each for itself")]
pub struct LiveOptions {
    /// Count bytes as they move. A single list of connections needs no hooks: TCP keeps its own lifetime counters.
    pub counting: bool,
    pub tier: Tier,
    /// `None`: the caller's own network namespace.
    pub netns: Option<Netns>,
    /// The sockets of all namespaces; `netns` then only says whose interfaces are read.
    pub everywhere: bool,
    pub wanted: Wanted,
    /// Try every tier in turn and say of each whether this kernel grants it.
    pub survey: bool,
    /// Whether to mark the processes that this program starts from now on, and their descendants. That needs
    /// counting: where it is refused there is no source.
    pub descendants: bool,
    /// Say of what crosses each interface whose it is. Takes `counting`.
    pub wire: bool,
    /// Count what arrives at these interfaces before anything can drop it, at all of them if none is named. Takes
    /// `wire`.
    pub arrivals: Option<Vec<String>>,
    /// Where programs count, too, ask the kernel for what it alone knows of established TCP connections: what they
    /// waited for, and their windows.
    pub waits: bool,
    /// Lose one event in so many, for the test of the self-test alone; 0 for none.
    pub lose_one_in: u32,
}

/// How bytes are counted. The order is the order of preference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tier {
    /// The best that the kernel and the privileges allow.
    #[default]
    Auto,
    /// BTF tracepoints: stable arguments, cheapest.
    TpBtf,
    /// Trampolines at the entry and exit of kernel functions.
    Fentry,
    /// Breakpoint probes at the same functions.
    Kprobe,
    /// No programs: the sockets are asked now and then.
    Polling,
}

impl Tier {
    /// As `--tier` and `doctor` spell it.
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

/// A network namespace as the user names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Netns {
    Path(PathBuf),
    /// That of a process.
    Pid(u32),
    /// The inode, as reports print it.
    Inode(u32),
}

/// Which sockets are of interest; a source may leave out the others, and need not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each says of another kind of socket whether it is wanted")]
pub struct Wanted {
    pub tcp: bool,
    pub udp: bool,
    /// Raw, packet and the rest.
    pub others: bool,
    pub ipv4: bool,
    pub ipv6: bool,
    pub connected: bool,
    /// Listening sockets, and those without a peer.
    pub unconnected: bool,
}

impl Default for Wanted {
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
    /// What was asked for does not exist, or this kernel refuses it: the user must ask for something else.
    #[error("{0}")]
    Usage(String),
    /// The user lacks a privilege.
    #[error("{attempt} needs {capability}; {remedy}")]
    Privilege {
        /// What was attempted, to be read as a subject: "counting with kprobe".
        attempt: String,
        capability: &'static str,
        /// The command that grants it.
        remedy: String,
    },
    #[error("failed to {attempt}: {cause}")]
    Failed { attempt: String, cause: std::io::Error },
}

/// How far a command has come, with what it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Running,
    /// The command has ended; processes that it started have not.
    Outlived,
    /// Nobody is left.
    Over,
    /// The user does not want to wait for those that outlived the command.
    Abandoned,
}

/// Why a command does not run.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error("{}: {cause}", .command.to_string_lossy())]
    Refused { command: std::ffi::OsString, cause: std::io::Error },
}

impl StartError {
    /// The exit status that shells give: 127 for what is not there, 126 for what cannot be run.
    #[must_use]
    pub fn status(&self) -> u8 {
        let Self::Refused { cause, .. } = self;
        if cause.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }
    }
}
