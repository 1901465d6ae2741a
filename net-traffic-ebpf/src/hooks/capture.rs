//! A packet that the filter accepted is kept, if it is of a process that is wanted.
//!
//! The filter is made at run time, from the user's expression. It is what is attached to an interface, and ends with a
//! tail call of what is here.

use core::{ffi::c_void, mem, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST, BPF_SK_STORAGE_GET_F_CREATE, xdp_action::XDP_PASS},
    helpers::generated::{bpf_sk_storage_get, bpf_sock_from_file},
    macros::{btf_tracepoint, cgroup_sock, classifier, xdp},
    programs::{BtfTracePointContext, SockContext, TcContext, XdpContext},
};
use net_traffic_common::{ProcessKey, UNOWNED, packet::CHOSEN_WITH_CHILDREN};

use super::iter::TaskFile;
use crate::{
    account::{process, storage},
    capture::{choose, frame, keep, owner, setting},
    kernel::{Memory, Typed, offset, process_key},
    maps::{CHOSEN_PIDS, HOLDERS, Holder},
};

/// `TC_ACT_UNSPEC`, which is `TCX_NEXT` too: whoever is attached behind us decides.
const GO_ON: i32 = -1;

/// Reached from a filter, for a packet that an interface hands to the stack, since Linux 4.5.
#[classifier]
fn keep_in(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.skb.skb;
    let now_ns = frame::now_ns();
    let owner = if setting!(owners) != 0 { owner::incoming(skb, now_ns) } else { UNOWNED };
    if choose::is_chosen(owner) {
        keep::keep(skb, frame::of_stack(skb, now_ns, owner, false));
    }
    GO_ON
}

/// Reached from a filter, for a packet that the stack hands to an interface, since Linux 4.5.
#[classifier]
fn keep_out(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.skb.skb;
    let owner = if setting!(owners) != 0 { owner::outgoing(skb) } else { UNOWNED };
    if choose::is_chosen(owner) {
        keep::keep(skb, frame::of_stack(skb, frame::now_ns(), owner, true));
    }
    GO_ON
}

/// Attached where a bridge's port takes a packet in, since Linux 4.5. The bridge hands it on without its socket; here
/// it is still known whose it is, and is remembered for there.
#[classifier]
fn learn_in(ctx: TcContext) -> i32 {
    owner::learn(ctx.skb.skb, frame::now_ns());
    GO_ON
}

/// Reached from a filter, for a frame that has arrived at an interface, since Linux 5.18. Here nobody knows sockets.
#[xdp]
fn keep_xdp(ctx: XdpContext) -> u32 {
    keep::keep(ctx.ctx, frame::arrived(ctx.ctx));
    XDP_PASS
}

/// Runs when a socket is made, since Linux 4.10. So its first packet has an owner, which the accounting knows only
/// when the first call returns.
#[cgroup_sock(sock_create)]
fn creator_cgroup(ctx: SockContext) -> i32 {
    let creator = process::current();
    // SAFETY: the socket of the context.
    unsafe { created(ctx.sock.cast(), creator) };
    1
}

/// As [`holder_send_tp`], but with a glance first at what nearly all calls are: of a socket that was used before.
#[btf_tracepoint(function = "sock_send_length")]
fn glance_send_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { if is_seen_to_be_used(ctx.arg(0)) { 0 } else { used(ctx.arg(0)) } }
}

/// As [`holder_recv_tp`], but with the same glance.
#[btf_tracepoint(function = "sock_recv_length")]
fn glance_recv_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { if is_seen_to_be_used(ctx.arg(0)) { 0 } else { used(ctx.arg(0)) } }
}

/// `void sock_send_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3. Whoever uses a socket
/// first is who its packets belong to, and not who made or accepted it.
#[btf_tracepoint(function = "sock_send_length")]
fn holder_send_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { used(ctx.arg(0)) }
}

/// `void sock_recv_length(struct sock *sk, int ret, int flags)`, tracepoint, since Linux 6.3.
#[btf_tracepoint(function = "sock_recv_length")]
fn holder_recv_tp(ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the tracepoint's prototype.
    unsafe { used(ctx.arg(0)) }
}

/// Walks over all descriptors, for the sockets that were made before.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn holders(ctx: *const TaskFile) -> i32 {
    // SAFETY: the iterator's context; the pointers in it may be null.
    unsafe {
        let (task, file) = ((*ctx).task, (*ctx).file);
        if task.is_null() || file.is_null() {
            return 0;
        }
        let socket: *const c_void = bpf_sock_from_file(file.cast_mut().cast()).cast();
        if socket.is_null() {
            return 0;
        }
        let sk = Typed::read::<u64>(socket, offset!(socket_sk)) as *const c_void;
        if sk.is_null() {
            return 0;
        }
        let leader = Typed::read::<u64>(task, offset!(group_leader)) as *const c_void;
        let owner = process_key::<Typed>(leader);
        process::describe(owner, leader);
        created(sk, owner);
    }
    0
}

/// The first one stays. Failing here costs a name and no packet.
///
/// # Safety
/// `sk` is a socket.
#[inline(always)]
unsafe fn created(sk: *const c_void, creator: ProcessKey) {
    let initial = Holder { owner: creator, ..Holder::default() };
    // SAFETY: as the caller promises.
    let _stored = unsafe { holder(sk, &raw const initial) };
}

/// Whether it is seen without asking a helper.
///
/// # Safety
/// `sk` points to a `struct sock` whose type the verifier knows.
#[inline(always)]
unsafe fn is_seen_to_be_used(sk: *const c_void) -> bool {
    const IS_USED: u32 = mem::offset_of!(Holder, is_used) as u32;
    // SAFETY: as the caller promises; the map holds such values.
    unsafe {
        storage::cached(sk, ptr::from_ref(&HOLDERS).cast())
            .is_some_and(|known| known.read::<u64>(IS_USED) != 0)
    }
}

/// # Safety
/// `sk` is a socket.
#[inline(never)]
unsafe fn used(sk: *const c_void) -> i32 {
    // SAFETY: as the caller promises; what the helper gives is the socket's storage or null.
    unsafe {
        let known = holder(sk, ptr::null());
        if !known.is_null() && (*known).is_used != 0 {
            return 0;
        }
        let user = process::current();
        let initial = Holder { owner: user, is_used: 1, remembered: 0 };
        let holder = if known.is_null() { holder(sk, &raw const initial) } else { known };
        if !holder.is_null() {
            (*holder).owner = user;
            (*holder).is_used = 1;
        }
    }
    0
}

/// What is stored in the socket; made if there is something to begin with.
///
/// # Safety
/// `sk` is a socket.
#[inline(always)]
unsafe fn holder(sk: *const c_void, initial: *const Holder) -> *mut Holder {
    let holders: *mut c_void = ptr::from_ref(&HOLDERS).cast_mut().cast();
    let flags = if initial.is_null() { 0 } else { u64::from(BPF_SK_STORAGE_GET_F_CREATE) };
    // SAFETY: as the caller promises; the helper copies the initial value.
    unsafe { bpf_sk_storage_get(holders, sk.cast_mut(), initial.cast_mut().cast(), flags).cast() }
}

/// `void sched_process_fork(struct task_struct *parent, struct task_struct *child)`, tracepoint, since Linux 2.6.
/// The children of a command are chosen as it is.
#[btf_tracepoint(function = "sched_process_fork")]
fn chosen_fork_tp(ctx: BtfTracePointContext) -> i32 {
    let (parent, child): (*const c_void, *const c_void) = (ctx.arg(0), ctx.arg(1));
    // SAFETY: the tracepoint's prototype; a live map value.
    unsafe {
        let parent: u32 = Typed::read(parent, offset!(tgid));
        if let Some(flags) = CHOSEN_PIDS.get_ptr(parent)
            && *flags & CHOSEN_WITH_CHILDREN != 0
        {
            let child: u32 = Typed::read(child, offset!(tgid));
            let _chosen = CHOSEN_PIDS.insert(child, *flags, u64::from(BPF_NOEXIST));
        }
    }
    0
}
