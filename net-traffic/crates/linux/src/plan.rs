//! The tables of slots, programs and maps, and the decision which program fills a slot.
//!
//! Pure: the decision follows from the kernel's answers to trial loads and trial attaches, never from its version.

mod attach;
mod fill;
mod maps;
mod version_specific;

pub use self::attach::{Attach, Crossing};
pub use self::fill::{Attempt, Filled, Refusal, attempts, fill, unsupported};
pub use self::maps::{LoadOptions, MAPS, MapPlan, MapUse};
pub use self::version_specific::{OPTIONAL_FUNCTIONS, optional_slots};
use net_traffic_snapshot::Tier;

/// Where the counters of a socket are.
///
/// A kprobe has no helper for socket storage (the helper belongs to programs of the type `tracing`:
/// <https://github.com/gregkh/linux/blob/v6.12.117/kernel/trace/bpf_trace.c#L1970>), so that either all programs use
/// the socket storage or none does.
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

/// One eBPF program of the object and its attach point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Program {
    pub name: &'static str,
    pub attach: Attach,
}

/// One way to fill a slot. It holds only if all its programs attach.
#[derive(Clone, Copy, Debug)]
pub struct Hook {
    /// `None`: for every tier.
    pub tier: Option<Tier>,
    pub storage: Option<Storage>,
    pub programs: &'static [Program],
}

/// One kind of event that must be counted.
#[derive(Clone, Copy, Debug)]
pub struct Slot {
    pub name: &'static str,
    /// No tier holds while this slot is empty: counters would be wrong.
    pub required: bool,
    /// What `doctor` prints about the slot.
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

/// `nt_*_fast_tp` reads the kernel-private layout of socket storage
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/bpf_local_storage.h#L86>).
/// [`SEND_BY_HELPER`] calls the helper instead, and is the portable fallback.
const SEND: Hook = hook!(Some(Tier::TpBtf), None, "nt_send_fast_tp": Attach::Tracepoint("sock_send_length"));
const SEND_BY_HELPER: Hook =
    hook!(Some(Tier::TpBtf), None, "nt_send_tp": Attach::Tracepoint("sock_send_length"));
const RECV: Hook = hook!(Some(Tier::TpBtf), None, "nt_recv_fast_tp": Attach::Tracepoint("sock_recv_length"));
const RECV_BY_HELPER: Hook =
    hook!(Some(Tier::TpBtf), None, "nt_recv_tp": Attach::Tracepoint("sock_recv_length"));

/// Every slot, in the order in which they are filled.
///
/// The order matters. The baseline comes before the hooks: the first flush of a socket covers the gap between the two.
/// The unaccepted connections come after the hooks: a process that accepts one cannot be missed.
pub const SLOTS: &[Slot] = &[
    Slot {
        name: "cookies",
        required: false,
        covers: "the identity of sockets that only kprobes see",
        hooks: &[hook!(None, Some(Storage::ByAddress), "nt_sock_cookie": Attach::CgroupCreate)],
    },
    Slot {
        name: "baseline",
        required: true,
        covers: "sockets older than the tool, with their owners",
        hooks: &[hook!(None, None, "nt_baseline": Attach::Descriptors)],
    },
    Slot {
        name: "tcp_state",
        required: true,
        covers: "the birth of TCP connections and the end of what they send",
        hooks: &[hook!(None, None, "nt_tcp_state_tp": Attach::Tracepoint("inet_sock_set_state"))],
    },
    Slot {
        name: "tcp_close",
        required: true,
        covers: "the final bytes of TCP connections",
        hooks: &[hook!(None, None, "nt_destroy_tp": Attach::Tracepoint("tcp_destroy_sock"))],
    },
    Slot {
        name: "socket_close",
        required: true,
        covers: "the final bytes of UDP and other sockets",
        hooks: &[
            hook!(None, Some(Storage::InSocket), "nt_release_cg": Attach::CgroupRelease),
            hook!(None, Some(Storage::InSocket), "nt_release_fe": Attach::Entry("inet_release")),
            hook!(None, Some(Storage::ByAddress), "nt_release_kp": Attach::Probe("inet_release")),
        ],
    },
    Slot {
        name: "tcp_send",
        required: true,
        covers: "which process sends on a TCP connection",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_tcp_send_fx": Attach::Exit("tcp_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_tcp_send_kp": Attach::Probe("tcp_sendmsg"),
                "nt_tcp_send_kr": Attach::ReturnProbe("tcp_sendmsg")),
        ],
    },
    Slot {
        name: "tcp_recv",
        required: true,
        covers: "which process receives on a TCP connection",
        hooks: &[
            RECV,
            RECV_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_tcp_recv_fe": Attach::Entry("tcp_cleanup_rbuf")),
            hook!(Some(Tier::Kprobe), None, "nt_tcp_recv_kp": Attach::Probe("tcp_cleanup_rbuf")),
        ],
    },
    Slot {
        name: "udp_send",
        required: true,
        covers: "bytes sent by UDP",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_udp4_send_fx": Attach::Exit("udp_sendmsg"),
                "nt_udp6_send_fx": Attach::Exit("udpv6_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_udp4_send_kp": Attach::Probe("udp_sendmsg"),
                "nt_udp4_send_kr": Attach::ReturnProbe("udp_sendmsg"),
                "nt_udp6_send_kp": Attach::Probe("udpv6_sendmsg"),
                "nt_udp6_send_kr": Attach::ReturnProbe("udpv6_sendmsg")),
        ],
    },
    Slot {
        name: "udp_recv",
        required: true,
        covers: "bytes received by UDP",
        hooks: &[
            RECV,
            RECV_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_udp4_recv_fx": Attach::Exit("udp_recvmsg"),
                "nt_udp6_recv_fx": Attach::Exit("udpv6_recvmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_consume_kp": Attach::Probe("skb_consume_udp"),
                "nt_udp4_recv_kp": Attach::Probe("udp_recvmsg"),
                "nt_udp4_recv_kr": Attach::ReturnProbe("udp_recvmsg"),
                "nt_udp6_recv_kp": Attach::Probe("udpv6_recvmsg"),
                "nt_udp6_recv_kr": Attach::ReturnProbe("udpv6_recvmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_udp4_recv_kp": Attach::Probe("udp_recvmsg"),
                "nt_udp4_recv_kr": Attach::ReturnProbe("udp_recvmsg"),
                "nt_udp6_recv_kp": Attach::Probe("udpv6_recvmsg"),
                "nt_udp6_recv_kr": Attach::ReturnProbe("udpv6_recvmsg")),
        ],
    },
    Slot {
        name: "mptcp_send",
        required: false,
        covers: "bytes sent by MPTCP",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_mptcp_snd_fx": Attach::Exit("mptcp_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_mptcp_snd_kp": Attach::Probe("mptcp_sendmsg"),
                "nt_mptcp_snd_kr": Attach::ReturnProbe("mptcp_sendmsg")),
        ],
    },
    Slot {
        name: "mptcp_recv",
        required: false,
        covers: "bytes received by MPTCP",
        hooks: &[
            RECV,
            RECV_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_mptcp_rcv_fx": Attach::Exit("mptcp_recvmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_mptcp_rcv_kp": Attach::Probe("mptcp_recvmsg"),
                "nt_mptcp_rcv_kr": Attach::ReturnProbe("mptcp_recvmsg")),
        ],
    },
    Slot {
        name: "packet_send",
        required: false,
        covers: "frames that processes write to an interface themselves",
        hooks: &[
            SEND,
            SEND_BY_HELPER,
            hook!(Some(Tier::Fentry), None, "nt_pkt_send_fx": Attach::Exit("packet_sendmsg")),
            hook!(Some(Tier::Kprobe), None, "nt_pkt_send_kr": Attach::ReturnProbe("packet_sendmsg")),
        ],
    },
    Slot {
        name: "process_name",
        required: false,
        covers: "processes that take another name",
        hooks: &[hook!(None, None, "nt_exec_tp": Attach::Tracepoint("sched_process_exec"))],
    },
    Slot {
        name: "process_exit",
        required: false,
        covers: "processes that end",
        hooks: &[hook!(None, None, "nt_exit_tp": Attach::Tracepoint("sched_process_exit"))],
    },
    Slot {
        name: "cgroups",
        required: false,
        covers: "containers that end between two readings",
        hooks: &[hook!(None, None, "nt_cgroup_tp": Attach::Tracepoint("cgroup_mkdir"))],
    },
    Slot {
        name: "unheld",
        required: false,
        covers: "connections older than the tool that wait to be accepted: no process holds them",
        hooks: &[hook!(None, None, "nt_unaccepted": Attach::Connections)],
    },
    Slot {
        name: "sockets",
        required: true,
        covers: "reading out the counters",
        hooks: &[
            hook!(None, Some(Storage::InSocket), "nt_iter_sockets": Attach::Map("nt_sockets")),
            hook!(None, Some(Storage::ByAddress), "nt_iter_by_addr": Attach::Map("nt_socks_addr")),
        ],
    },
];

/// The slot of traced descendants. It is filled last: each process that is forked after that is marked before its first
/// instruction.
pub const DESCENDANTS: Slot = Slot {
    name: "descendants",
    required: true,
    covers: "the processes that a command starts",
    hooks: &[hook!(None, None, "nt_fork_tp": Attach::Tracepoint("sched_process_fork"))],
};

/// The slots of the interface accounting, in the order of its directions.
pub const INTERFACE_SLOTS: &[Slot] = &[
    Slot {
        name: "wire_in",
        required: false,
        covers: "the owners of the bytes that the interfaces receive",
        hooks: &[
            hook!(None, None, "nt_ingress": Attach::Tcx(Crossing::In)),
            hook!(None, None, "nt_ingress": Attach::Clsact(Crossing::In)),
        ],
    },
    Slot {
        name: "wire_out",
        required: false,
        covers: "the owners of the bytes that the interfaces send",
        hooks: &[
            hook!(None, None, "nt_egress": Attach::Tcx(Crossing::Out)),
            hook!(None, None, "nt_egress": Attach::Clsact(Crossing::Out)),
        ],
    },
];

/// The slot of the frames that XDP counts.
pub const XDP_RX: Slot = Slot {
    name: "wire_xdp",
    required: false,
    covers: "the frames that the interfaces receive, before another program can drop them",
    hooks: &[hook!(None, None, "nt_xdp_rx": Attach::Xdp)],
};

/// Every program of the table, once for each hook that needs it.
pub fn programs() -> impl Iterator<Item = &'static Program> {
    SLOTS
        .iter()
        .chain(INTERFACE_SLOTS)
        .chain([&DESCENDANTS, &XDP_RX])
        .chain(OPTIONAL_FUNCTIONS.iter().map(|(_, slot)| slot))
        .flat_map(|slot| slot.hooks)
        .flat_map(|hook| hook.programs)
}

#[cfg(test)]
mod tests;
