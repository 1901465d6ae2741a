//! A packet that the filter accepted is kept, if it is of a process that is wanted.
//!
//! The filter is made at run time, from the user's expression. It is what is attached to an interface, and ends with a
//! tail call of what is here.

use core::{ffi::c_void, ptr};

use aya_ebpf::{
    bindings::{__sk_buff, BPF_NOEXIST, BPF_SK_STORAGE_GET_F_CREATE},
    helpers::generated::{bpf_sk_storage_get, bpf_sock_from_file},
    macros::{btf_tracepoint, cgroup_sock, classifier},
    programs::{BtfTracePointContext, SockContext, TcContext},
};
use net_traffic_common::{ProcessCounters, ProcessKey, UNOWNED, packet::CHOSEN_WITH_CHILDREN};

use super::iter::TaskFile;
use crate::{
    account::process,
    capture::{choose, keep, owner, setting},
    kernel::{Memory, Typed, offset, process_key, read_octets},
    maps::{CHOSEN_PIDS, CREATORS},
};

/// `TC_ACT_UNSPEC`, which is `TCX_NEXT` too: whoever is attached behind us decides.
const GO_ON: i32 = -1;

/// Reached from a filter, for a packet that an interface hands to the stack, since Linux 4.5.
#[classifier]
fn keep_in(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.skb.skb;
    let owner = if setting!(owners) != 0 { owner::incoming(skb) } else { UNOWNED };
    if choose::is_chosen(owner) {
        keep::keep(skb, owner, false);
    }
    GO_ON
}

/// Reached from a filter, for a packet that the stack hands to an interface, since Linux 4.5.
#[classifier]
fn keep_out(ctx: TcContext) -> i32 {
    let skb: *mut __sk_buff = ctx.skb.skb;
    let owner = if setting!(owners) != 0 { owner::outgoing(skb) } else { UNOWNED };
    if choose::is_chosen(owner) {
        keep::keep(skb, owner, true);
    }
    GO_ON
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
        let row = ProcessCounters { comm: read_octets(leader, offset!(comm)), ..ProcessCounters::default() };
        process::announce(owner, &row);
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
    let creators: *mut c_void = ptr::from_ref(&CREATORS).cast_mut().cast();
    let initial: *const ProcessKey = &raw const creator;
    // SAFETY: as the caller promises; the helper copies the initial value.
    unsafe {
        bpf_sk_storage_get(
            creators,
            sk.cast_mut(),
            initial.cast_mut().cast(),
            u64::from(BPF_SK_STORAGE_GET_F_CREATE),
        );
    }
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
