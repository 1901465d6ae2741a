//! Which program counts what: one table, preferred first within a slot, and the decision what to try next.
//!
//! Pure: the decision is made on what trial load and trial attach answered, never on a kernel's version.

mod attach;
mod seldom;

pub use self::attach::{Attach, Crossing};
pub use self::seldom::{SELDOM, needed};
use net_traffic_snapshot::{Status, Tier};

/// Where a socket's counters are kept: a kprobe cannot reach a socket's own storage, so that all or none use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Storage {
    InSocket,
    ByAddress,
}

impl Storage {
    /// The storage that the programs of a tier need.
    #[must_use]
    pub fn of(tier: Tier) -> Self {
        if tier == Tier::Kprobe { Self::ByAddress } else { Self::InSocket }
    }
}

/// One eBPF program of the object and where it attaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    pub name: &'static str,
    pub attach: Attach,
}

/// One way to fill a slot. It holds only if all its programs attach.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// `None`: serves every tier.
    pub tier: Option<Tier>,
    pub storage: Option<Storage>,
    pub programs: &'static [Program],
}

/// One thing that must be observed.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub name: &'static str,
    /// Without it nothing is exact: then no tier holds.
    pub required: bool,
    /// What it gives, as `doctor` says it.
    pub covers: &'static str,
    /// Preferred first.
    pub hooks: &'static [Hook],
}

const fn program(name: &'static str, attach: Attach) -> Program {
    Program { name, attach }
}

macro_rules! hook {
    ($tier:expr, $storage:expr, $($name:literal: $attach:expr),+) => {
        Hook { tier: $tier, storage: $storage, programs: &[$(program($name, $attach)),+] }
    };
}

use hook;

/// The first looks where the kernel may one day keep nothing.
const SEND: Hook = hook!(Some(Tier::TpBtf), None, "send_peek_tp": Attach::Tracepoint("sock_send_length"));
const SEND_BY_HELPER: Hook =
    hook!(Some(Tier::TpBtf), None, "send_tp": Attach::Tracepoint("sock_send_length"));
const RECV: Hook = hook!(Some(Tier::TpBtf), None, "recv_peek_tp": Attach::Tracepoint("sock_recv_length"));
const RECV_BY_HELPER: Hook =
    hook!(Some(Tier::TpBtf), None, "recv_tp": Attach::Tracepoint("sock_recv_length"));

/// Every slot, in the order in which they are filled: the baseline first, so that whatever moves between it and
/// the hooks is found by the first settlement; what nobody holds after them, so that nobody can take it unseen.
pub const SLOTS: &[Slot] = &[
    Slot {
        name: "cookies",
        required: false,
        covers: "the identity of sockets that only kprobes see",
        hooks: &[hook!(None, Some(Storage::ByAddress), "create_cgroup": Attach::CgroupCreate)],
    },
    Slot {
        name: "baseline",
        required: true,
        covers: "sockets older than the tool, with their owners",
        hooks: &[hook!(None, None, "baseline": Attach::Descriptors)],
    },
    Slot {
        name: "tcp_state",
        required: true,
        covers: "the birth of TCP connections and the end of what they send",
        hooks: &[hook!(None, None, "state_tp": Attach::Tracepoint("inet_sock_set_state"))],
    },
    Slot {
        name: "tcp_close",
        required: true,
        covers: "the final bytes of TCP connections",
        hooks: &[hook!(None, None, "destroy_tp": Attach::Tracepoint("tcp_destroy_sock"))],
    },
    Slot {
        name: "socket_close",
        required: true,
        covers: "the final bytes of UDP and other sockets",
        hooks: &[
            hook!(None, Some(Storage::InSocket), "release_cgroup": Attach::CgroupRelease),
            hook!(None, Some(Storage::InSocket), "release_fe": Attach::Entry("inet_release")),
            hook!(None, Some(Storage::ByAddress), "release_kp": Attach::Probe("inet_release")),
        ],
    },
    Slot {
        name: "tcp_send",
        required: true,
        covers: "which process sends on a TCP connection",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "tcp_send_fx": Attach::Exit("tcp_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "tcp_send_kp": Attach::Probe("tcp_sendmsg"),
                "tcp_send_krp": Attach::ReturnProbe("tcp_sendmsg")),
        ],
    },
    Slot {
        name: "tcp_recv",
        required: true,
        covers: "which process receives on a TCP connection",
        hooks: &[
            RECV,
            RECV_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "tcp_recv_fe": Attach::Entry("tcp_cleanup_rbuf")),
            hook!(Some(Tier::Kprobe), None, "tcp_recv_kp": Attach::Probe("tcp_cleanup_rbuf")),
        ],
    },
    Slot {
        name: "udp_send",
        required: true,
        covers: "bytes sent by UDP",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "udp4_send_fx": Attach::Exit("udp_sendmsg"),
                "udp6_send_fx": Attach::Exit("udpv6_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "udp4_send_kp": Attach::Probe("udp_sendmsg"),
                "udp4_send_krp": Attach::ReturnProbe("udp_sendmsg"),
                "udp6_send_kp": Attach::Probe("udpv6_sendmsg"),
                "udp6_send_krp": Attach::ReturnProbe("udpv6_sendmsg")),
        ],
    },
    Slot {
        name: "udp_recv",
        required: true,
        covers: "bytes received by UDP",
        hooks: &[
            RECV,
            RECV_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "udp4_recv_fx": Attach::Exit("udp_recvmsg"),
                "udp6_recv_fx": Attach::Exit("udpv6_recvmsg")),
            hook!(Some(Tier::Kprobe), None, "udp_taken_kp": Attach::Probe("skb_consume_udp"),
                "udp4_recv_kp": Attach::Probe("udp_recvmsg"),
                "udp4_recv_krp": Attach::ReturnProbe("udp_recvmsg"),
                "udp6_recv_kp": Attach::Probe("udpv6_recvmsg"),
                "udp6_recv_krp": Attach::ReturnProbe("udpv6_recvmsg")),
            hook!(Some(Tier::Kprobe), None, "udp4_recv_kp": Attach::Probe("udp_recvmsg"),
                "udp4_recv_krp": Attach::ReturnProbe("udp_recvmsg"),
                "udp6_recv_kp": Attach::Probe("udpv6_recvmsg"),
                "udp6_recv_krp": Attach::ReturnProbe("udpv6_recvmsg")),
        ],
    },
    Slot {
        name: "mptcp_send",
        required: false,
        covers: "bytes sent by MPTCP",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "mptcp_send_fx": Attach::Exit("mptcp_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "mptcp_send_kp": Attach::Probe("mptcp_sendmsg"),
                "mptcp_send_krp": Attach::ReturnProbe("mptcp_sendmsg")),
        ],
    },
    Slot {
        name: "mptcp_recv",
        required: false,
        covers: "bytes received by MPTCP",
        hooks: &[
            RECV,
            RECV_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "mptcp_recv_fx": Attach::Exit("mptcp_recvmsg")),
            hook!(Some(Tier::Kprobe), None, "mptcp_recv_kp": Attach::Probe("mptcp_recvmsg"),
                "mptcp_recv_krp": Attach::ReturnProbe("mptcp_recvmsg")),
        ],
    },
    Slot {
        name: "packet_send",
        required: false,
        covers: "frames that processes write to an interface themselves",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "packet_send_fx": Attach::Exit("packet_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "packet_send_krp": Attach::ReturnProbe("packet_sendmsg")),
        ],
    },
    Slot {
        name: "process_name",
        required: false,
        covers: "processes that take another name",
        hooks: &[hook!(None, None, "exec_tp": Attach::Tracepoint("sched_process_exec"))],
    },
    Slot {
        name: "process_exit",
        required: false,
        covers: "processes that end",
        hooks: &[hook!(None, None, "exit_tp": Attach::Tracepoint("sched_process_exit"))],
    },
    Slot {
        name: "cgroups",
        required: false,
        covers: "containers that end before anybody looks",
        hooks: &[hook!(None, None, "cgroup_tp": Attach::Tracepoint("cgroup_mkdir"))],
    },
    Slot {
        name: "unheld",
        required: false,
        covers: "connections older than the tool that no process holds: they wait to be accepted",
        hooks: &[hook!(None, None, "unheld": Attach::Connections)],
    },
    Slot {
        name: "sockets",
        required: true,
        covers: "reading out the counters",
        hooks: &[
            hook!(None, Some(Storage::InSocket), "harvest": Attach::Map("SOCKETS")),
            hook!(None, Some(Storage::ByAddress), "harvest_addr": Attach::Map("SOCKETS_BY_ADDR")),
        ],
    },
];

/// Filled last, where descendants are traced: whoever is born from then on is known from its first instruction.
pub const DESCENDANTS: Slot = Slot {
    name: "descendants",
    required: true,
    covers: "the processes that a command starts",
    hooks: &[hook!(None, None, "fork_tp": Attach::Tracepoint("sched_process_fork"))],
};
/// The slots of what crosses the interfaces; filled where that is asked for.
pub const WIRE_SLOTS: &[Slot] = &[
    Slot {
        name: "wire_in",
        required: false,
        covers: "whose bytes the interfaces receive",
        hooks: &[
            hook!(None, None, "wire_ingress": Attach::Tcx(Crossing::In)),
            hook!(None, None, "wire_ingress": Attach::Clsact(Crossing::In)),
        ],
    },
    Slot {
        name: "wire_out",
        required: false,
        covers: "whose bytes the interfaces send",
        hooks: &[
            hook!(None, None, "wire_egress": Attach::Tcx(Crossing::Out)),
            hook!(None, None, "wire_egress": Attach::Clsact(Crossing::Out)),
        ],
    },
];

/// Filled where it is asked for.
pub const ARRIVAL: Slot = Slot {
    name: "wire_xdp",
    required: false,
    covers: "what the interfaces receive before anything can drop it",
    hooks: &[hook!(None, None, "wire_xdp": Attach::Xdp)],
};

/// How one slot was filled, and what was refused before.
#[derive(Clone, Debug)]
pub struct Filled {
    pub slot: &'static Slot,
    pub hook: Option<&'static Hook>,
    pub refusals: Vec<Refusal>,
}

/// A program that this kernel refused, in the kernel's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub program: &'static str,
    pub reason: String,
}

impl Filled {
    /// Whether the slot is as it must be.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.hook.is_some() || !self.slot.required
    }

    /// How its first program attaches, if something fills it.
    #[must_use]
    pub fn attach(&self) -> Option<Attach> {
        Some(self.hook?.programs.first()?.attach)
    }

    /// As reports show it.
    #[must_use]
    pub fn status(&self) -> Status {
        let refusals: Vec<String> =
            self.refusals.iter().map(|refusal| format!("{}: {}", refusal.program, refusal.reason)).collect();
        let program = self.hook.and_then(|hook| hook.programs.first());
        Status {
            slot: self.slot.name.into(),
            tier: program.map(|program| program.attach.mechanism().into()),
            program: program.map(|program| program.name.into()),
            covers: program.map(|_| self.slot.covers.into()),
            reason: (!refusals.is_empty()).then(|| refusals.join("; ")),
            remedy: None,
        }
    }
}

/// Fills a slot with the first hook whose programs all attach.
///
/// Only hooks that serve one of `tiers` and this storage are tried; `attach` tries one program, and is told of a
/// program that attached already as often as a slot shares it.
pub fn fill(
    slot: &'static Slot,
    tiers: &[Tier],
    storage: Storage,
    attach: &mut dyn FnMut(&'static Program) -> Result<(), String>,
) -> Filled {
    let mut refusals = Vec::new();
    let hook = slot
        .hooks
        .iter()
        .filter(|hook| hook.tier.is_none_or(|tier| tiers.contains(&tier)))
        .filter(|hook| hook.storage.is_none_or(|needed| needed == storage))
        .find(|hook| {
            hook.programs.iter().all(|program| match attach(program) {
                Ok(()) => true,
                Err(reason) => {
                    refusals.push(Refusal { program: program.name, reason });
                    false
                }
            })
        });
    Filled { slot, hook, refusals }
}

/// Which tiers to try together, in which order, for what the user asked, on a machine of this architecture
/// ([`std::env::consts::ARCH`]).
#[must_use]
pub fn rounds(wanted: Tier, architecture: &str) -> Vec<Vec<Tier>> {
    let mut rounds = match wanted {
        Tier::Auto => vec![vec![Tier::TpBtf, Tier::Fentry], vec![Tier::Kprobe]],
        Tier::Polling => Vec::new(),
        tier => vec![vec![tier]],
    };
    rounds.retain(|tiers| tiers.iter().all(|tier| unsupported(*tier, architecture).is_none()));
    rounds
}

/// Why a tier cannot count on this architecture, whatever its kernel grants; `None` if it can.
#[must_use]
pub fn unsupported(tier: Tier, architecture: &str) -> Option<&'static str> {
    (tier == Tier::Kprobe && architecture != "x86_64")
        .then_some("the kprobe programs read the registers of x86-64 and would count nothing here")
}

#[cfg(test)]
mod tests;
