//! Capture: an accepted packet is written to the ring if the process filter selects its owner.
//!
//! User space generates the packet filter from the user's expression at run time. The filter is the program that is
//! attached to an interface; it ends with a tail call of a program of this file.

use core::{mem, ptr::NonNull};

use aya_ebpf::{
    bindings::{BPF_NOEXIST, xdp_action::XDP_PASS},
    macros::{btf_tracepoint, cgroup_sock, classifier, xdp},
    programs::{BtfTracePointContext, SockContext, TcContext, XdpContext},
};
use net_traffic_common::{ProcessKey, UNOWNED, packet::FILTER_CHILDREN};

use super::{interface::CONTINUE, walk::TaskFile};
use crate::{
    account::{process, storage},
    capture::{owner, process_filter, record, ring, setting},
    kernel::{Sk, Task, Typed},
    maps::{FILTER_PIDS, SOCKET_OWNERS, SocketOwner, SocketStorage},
    skb::Skb,
};

/// Tail-called by a filter, for a packet that an interface passes to the stack, since Linux 4.5.
#[classifier]
fn nt_capture_in(ctx: TcContext) -> i32 {
    let skb = Skb::of(&ctx);
    let now_ns = record::now_ns();
    let owner = if setting!(owners) != 0 { owner::of_incoming(skb, now_ns) } else { UNOWNED };
    if process_filter::selects(owner) {
        ring::output(skb, record::of_stack(skb, now_ns, owner, false));
    }
    CONTINUE
}

/// Tail-called by a filter, for a packet that the stack passes to an interface, since Linux 4.5.
#[classifier]
fn nt_capture_out(ctx: TcContext) -> i32 {
    let skb = Skb::of(&ctx);
    let owner = if setting!(owners) != 0 { owner::of_outgoing(skb) } else { UNOWNED };
    if process_filter::selects(owner) {
        ring::output(skb, record::of_stack(skb, record::now_ns(), owner, true));
    }
    CONTINUE
}

/// Attached to the ingress of a bridge port, since Linux 4.5. The sender's socket is known here only: behind it,
/// [br_netfilter][bridge] and [the IP layer][ip] orphan the packet. The program caches the flow's owner for the
/// interfaces behind.
///
/// [bridge]: https://github.com/gregkh/linux/blob/v6.12.117/net/bridge/br_netfilter_hooks.c#L498-L499
/// [ip]: https://github.com/gregkh/linux/blob/v6.12.117/net/ipv4/ip_input.c#L538-L540
#[classifier]
fn nt_cache_owner(ctx: TcContext) -> i32 {
    owner::cache_sender(Skb::of(&ctx), record::now_ns());
    CONTINUE
}

/// Tail-called by a filter, for a frame that has arrived at an interface, since Linux 5.18. XDP runs before any
/// socket is known.
#[xdp]
fn nt_capture_xdp(ctx: XdpContext) -> u32 {
    let frame = record::XdpFrame::of(&ctx);
    ring::output(frame, record::of_frame(frame));
    XDP_PASS
}

/// Runs when a socket in a cgroup is created, since Linux 4.10. So the first packet has an owner, which the byte
/// counters have only after the first call returns.
#[cgroup_sock(sock_create)]
fn nt_creator_cg(ctx: SockContext) -> i32 {
    let creator = process::current();
    // SAFETY: the socket of the context.
    created(unsafe { Sk::new(ctx.sock.cast()) }, creator);
    1
}

/// As [`nt_own_send_tp`], but reads the storage cache first: most calls are on a socket that was used before.
#[btf_tracepoint(function = "sock_send_length")]
fn nt_own_sfast_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::new(ctx.arg(0)) };
    if is_cached_as_used(sk) { 0 } else { used(sk) }
}

/// As [`nt_own_recv_tp`], but reads the storage cache first.
#[btf_tracepoint(function = "sock_recv_length")]
fn nt_own_rfast_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let sk = unsafe { Sk::new(ctx.arg(0)) };
    if is_cached_as_used(sk) { 0 } else { used(sk) }
}

/// `void sock_send_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3. The process that first
/// uses a socket becomes the owner of its packets, in the place of the process that created or accepted the socket.
#[btf_tracepoint(function = "sock_send_length")]
fn nt_own_send_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    used(unsafe { Sk::new(ctx.arg(0)) })
}

/// `void sock_recv_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3.
#[btf_tracepoint(function = "sock_recv_length")]
fn nt_own_recv_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    used(unsafe { Sk::new(ctx.arg(0)) })
}

/// Walks over all descriptors and sets the owners of sockets that are older than the capture.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn nt_fd_owners(ctx: *const TaskFile) -> i32 {
    // SAFETY: the iterator's context.
    let Some((leader, sk)) = (unsafe { TaskFile::socket(ctx) }) else { return 0 };
    let owner = leader.process_key();
    process::describe(owner, leader);
    created(sk, owner);
    0
}

/// Stores the creator of a socket, unless one is stored. A failure costs an owner's name and no packet.
#[inline(always)]
fn created(sk: Sk<Typed>, creator: ProcessKey) {
    let initial = SocketOwner { owner: creator, ..SocketOwner::default() };
    // SAFETY: a socket with a type that the verifier tracks.
    let _stored = unsafe { SOCKET_OWNERS.get_or_create(sk.address(), &raw const initial) };
}

/// Whether the storage cache shows that the socket was used before.
#[inline(always)]
fn is_cached_as_used(sk: Sk<Typed>) -> bool {
    const IS_USED: u32 = mem::offset_of!(SocketOwner, is_used) as u32;
    storage::storage_cache_lookup(sk, &SOCKET_OWNERS)
        // SAFETY: the map's values have this member.
        .is_some_and(|cached| unsafe { cached.read::<u64>(IS_USED) != 0 })
}

#[inline(never)]
fn used(sk: Sk<Typed>) -> i32 {
    // SAFETY: a socket with a type that the verifier tracks, and live map values.
    unsafe {
        let known = SOCKET_OWNERS.get(sk.address());
        if known.is_some_and(|known| (*known.as_ptr()).is_used != 0) {
            return 0;
        }
        let user = process::current();
        let initial = SocketOwner { owner: user, is_used: 1, cached: 0 };
        let stored = known.or_else(|| SOCKET_OWNERS.get_or_create(sk.address(), &raw const initial));
        if let Some(stored) = stored.map(NonNull::as_ptr) {
            (*stored).owner = user;
            (*stored).is_used = 1;
        }
    }
    0
}

/// `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`, tracepoint, since Linux 2.6.
/// Children of a selected command are selected too.
#[btf_tracepoint(function = "sched_process_fork")]
fn nt_cap_fork_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    let (parent, child) = unsafe { (Task::<Typed>::new(ctx.arg(0)), Task::<Typed>::new(ctx.arg(1))) };
    if let Some(flags) = FILTER_PIDS.get_ptr(parent.tgid()) {
        // SAFETY: a live map value.
        let flags = unsafe { *flags };
        if flags & FILTER_CHILDREN != 0 {
            let _selected = FILTER_PIDS.insert(child.tgid(), flags, u64::from(BPF_NOEXIST));
        }
    }
    0
}
