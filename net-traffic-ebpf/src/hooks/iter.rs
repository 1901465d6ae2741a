//! Walks: over all descriptors before the hooks are attached, and over all sockets whenever the reader asks.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_sock_from_file;
use net_traffic_common::{ProcessCounters, SocketCounters, TX_FINAL, UNOWNED};

use crate::{
    account::{process, record, socket, storage, tcp},
    kernel::{Memory, Typed, Untyped, offset, process_key, read_octets},
};

/// `struct bpf_iter__task_file`, since Linux 5.8.
#[repr(C)]
pub(super) struct TaskFile {
    meta: *const c_void,
    pub(super) task: *const c_void,
    fd: u64,
    pub(super) file: *const c_void,
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

/// Walks over all descriptors. Before any hook runs, the counters of the sockets begin that are older than we
/// are; later, sockets whose bytes were moved by calls that no hook sees (splice) get the holder as their owner.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
extern "C" fn baseline(ctx: *const TaskFile) -> i32 {
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
        if sk.is_null() || !socket::is_ours::<Typed>(sk) {
            return 0;
        }
        let leader = Typed::read::<u64>(task, offset!(group_leader)) as *const c_void;
        let owner = process_key::<Typed>(leader);
        let row = ProcessCounters { comm: read_octets(leader, offset!(comm)), ..ProcessCounters::default() };
        if let Some(counters) = storage::get::<Typed>(sk) {
            if (*counters).owner == UNOWNED && socket::adopt(counters, owner) {
                process::announce(owner, &row);
            }
            return 0;
        }
        let mut initial = SocketCounters::default();
        if !socket::begin::<Typed>(sk, &mut initial) {
            return 0;
        }
        let tp = Typed::tcp(sk);
        if !tp.is_null() {
            let state: u8 = Typed::read(sk, offset!(skc_state));
            if state == tcp::LISTEN {
                return 0;
            }
            (initial.rx_before, initial.tx_before) = tcp::lifetime::<Typed>(tp);
            tcp::rebase::<Typed>(tp, &mut initial, 0, 0);
            if tcp::is_closing(state) {
                initial.flags |= TX_FINAL;
            }
        }
        initial.owner = owner;
        process::announce(owner, &row);
        let _begun = storage::get_or_insert::<Typed>(sk, &initial);
    }
    0
}

/// What a program of a walk returns to be called again with the same object: reading then fails with `EAGAIN`.
const AGAIN: i32 = 1;

/// All sockets that have counters: settles and reports each. The records do not go by the walk's own buffer, which is
/// small: whenever it is full, the kernel counts its way from the start of a bucket to where it was, and there are no
/// more buckets than processors.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_sk_storage_map")]
extern "C" fn harvest(ctx: *const StorageElement) -> i32 {
    // SAFETY: the iterator's context; the pointers in it may be null.
    unsafe {
        let (sk, counters) = ((*ctx).sk, (*ctx).value);
        if !sk.is_null() && !counters.is_null() && !record::send_open::<Typed>(sk, counters) {
            return AGAIN;
        }
    }
    0
}

/// The same where sockets are kept by address.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/bpf_map_elem")]
extern "C" fn harvest_addr(ctx: *const MapElement) -> i32 {
    // SAFETY: the iterator's context; the pointers in it may be null.
    unsafe {
        let key = (*ctx).key;
        if key.is_null() {
            return 0;
        }
        let sk = *key as *const c_void;
        if let Some(counters) = storage::of_tier::<Untyped>(sk)
            && !record::send_open::<Untyped>(sk, counters)
        {
            return AGAIN;
        }
    }
    0
}
