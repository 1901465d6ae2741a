//! Walks of BPF iterators: over all descriptors before the hooks are attached, and over all sockets when user space
//! reads.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use net_traffic_common::{ProcessCounters, SocketCounters, TX_FINAL, UNOWNED};

use crate::{
    account::{counters::Counters, process, record, socket, storage, tcp},
    kernel::{Sk, Socket, Task, Typed, Untyped},
};

/// `struct bpf_iter__task_file`, since Linux 5.8.
#[repr(C)]
pub(super) struct TaskFile {
    meta: *const c_void,
    task: *const c_void,
    fd: u64,
    file: *const c_void,
}

impl TaskFile {
    /// The leader of the process that has the descriptor, and the socket that the descriptor is of; `None` for other
    /// files.
    ///
    /// # Safety
    /// `ctx` is the context of the iterator.
    #[inline(always)]
    pub(super) unsafe fn socket(ctx: *const Self) -> Option<(Task<Typed>, Sk<Typed>)> {
        // SAFETY: as the caller promises; the pointers in the context may be null.
        unsafe {
            let (task, file) = ((*ctx).task, (*ctx).file);
            if task.is_null() || file.is_null() {
                return None;
            }
            let socket: *const c_void = bpf_sock_from_file(file.cast_mut().cast()).cast();
            if socket.is_null() {
                return None;
            }
            let sk = Socket::<Typed>::new(socket).sk()?;
            Some((Task::new(task).group_leader(), sk))
        }
    }
}

/// `struct bpf_iter__bpf_sk_storage_map`, since Linux 5.9.
#[repr(C)]
struct StorageElement {
    meta: *const c_void,
    map: *const c_void,
    sk: *const c_void,
    value: *mut SocketCounters,
}

/// `struct bpf_iter__bpf_map_elem`, since Linux 5.9.
#[repr(C)]
struct MapElement {
    meta: *const c_void,
    map: *const c_void,
    key: *const u64,
    value: *mut SocketCounters,
}

/// Walks over all descriptors. Before the hooks run, the walk begins the counters of all sockets that are older than
/// the tracer. Later it sets the owners of sockets whose bytes move by calls without a hook (splice): the process
/// that holds the descriptor.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn nt_baseline(ctx: *const TaskFile) -> i32 {
    // SAFETY: the iterator's context.
    let Some((leader, sk)) = (unsafe { TaskFile::socket(ctx) }) else { return 0 };
    if !socket::is_inet(sk) {
        return 0;
    }
    let owner = leader.process_key();
    let row = ProcessCounters { comm: leader.comm(), ..ProcessCounters::default() };
    if let Some(counters) = storage::get(sk) {
        if counters.owner() == UNOWNED && counters.set_owner(owner) {
            process::insert(owner, &row);
        }
        return 0;
    }
    let mut initial = SocketCounters::default();
    if !socket::identify(sk, &mut initial) {
        return 0;
    }
    if let Some(tp) = sk.tcp() {
        let state = sk.skc_state();
        if state == tcp::LISTEN {
            return 0;
        }
        (initial.rx_before, initial.tx_before) = tcp::lifetime(tp);
        tcp::rebase(tp, &mut initial, 0, 0);
        if tcp::is_closing(state) {
            initial.flags |= TX_FINAL;
        }
    }
    initial.owner = owner;
    process::insert(owner, &row);
    let _inserted = storage::get_or_insert(sk, &initial);
    0
}

/// The result that makes the kernel [retry the same object][retry]: `read` fails with `EAGAIN`.
///
/// [retry]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/bpf_iter.c#L718-L724
const AGAIN: i32 = 1;

/// Walks over all sockets that have counters, flushes each and sends its record.
///
/// The records do not use the iterator's own buffer of [8 pages][pages]. Each time that buffer is full, the kernel
/// [counts from the start of a bucket][skip] to its last position, and the map has
/// [no more buckets than CPUs][buckets], rounded up.
///
/// [pages]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/bpf_iter.c#L106
/// [skip]: https://github.com/gregkh/linux/blob/v6.12.117/net/core/bpf_sk_storage.c#L739-L750
/// [buckets]: https://github.com/gregkh/linux/blob/v6.12.117/kernel/bpf/bpf_local_storage.c#L780-L783
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
extern "C" fn nt_iter_sockets(ctx: *const StorageElement) -> i32 {
    // SAFETY: the iterator's context; the pointers in it may be null.
    let (sk, value) = unsafe { ((*ctx).sk, core::ptr::NonNull::new((*ctx).value)) };
    if !sk.is_null()
        && let Some(value) = value
    {
        // SAFETY: a socket and its value, both of which the iterator holds.
        let (sk, counters) = unsafe { (Sk::<Typed>::new(sk), Counters::new(value)) };
        if !record::send_open(sk, counters) {
            return AGAIN;
        }
    }
    0
}

/// The same where counters are kept by the socket's address.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
extern "C" fn nt_iter_by_addr(ctx: *const MapElement) -> i32 {
    // SAFETY: the iterator's context.
    let key = unsafe { (*ctx).key };
    if key.is_null() {
        return 0;
    }
    // SAFETY: the key is the address of a socket, whose memory is probed.
    let sk = unsafe { Sk::<Untyped>::new(*key as *const c_void) };
    if let Some(counters) = storage::of_tier(sk)
        && !record::send_open(sk, counters)
    {
        return AGAIN;
    }
    0
}
