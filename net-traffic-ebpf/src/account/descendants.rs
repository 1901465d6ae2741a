//! The descendants of the process whose descendants are traced.

use aya_ebpf::{
    bindings::{BPF_ANY, bpf_pidns_info},
    helpers::generated::bpf_get_ns_current_pid_tgid,
};
use net_traffic_common::{PROCESS_TRACED, ProcessKey};

use super::loss;
use crate::{
    kernel::{ANCESTOR, Task, Typed, constant, constant_u64},
    maps::DESCENDANTS,
};

/// The flag of a process's row, if the process is a descendant.
#[inline(always)]
pub(crate) fn flag(key: ProcessKey) -> u32 {
    if DESCENDANTS.get_ptr(key).is_some() { PROCESS_TRACED } else { 0 }
}

/// Records a new process whose parent is traced or is the ancestor. `parent` is the current thread.
#[inline(always)]
pub(crate) fn forked(parent: Task<Typed>, child: Task<Typed>) {
    if child.pid() != child.tgid() {
        // A thread.
        return;
    }
    let leader = parent.group_leader();
    if DESCENDANTS.get_ptr(leader.process_key()).is_some() || is_ancestor() {
        loss::count_failed(DESCENDANTS.insert(child.process_key(), 1, u64::from(BPF_ANY)));
    }
}

/// The last thread of the process exits.
#[inline(always)]
pub(crate) fn exited(key: ProcessKey) {
    if DESCENDANTS.remove(key).is_err() {
        // The process is no descendant.
    }
}

/// Whether the current process is the ancestor, by its PID in its own namespace.
#[inline(always)]
fn is_ancestor() -> bool {
    let pid = constant(&ANCESTOR.pid);
    let mut ids = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: the helper fills the struct, whose size it gets.
    let error = unsafe {
        bpf_get_ns_current_pid_tgid(
            constant_u64(&ANCESTOR.namespace_device),
            constant_u64(&ANCESTOR.namespace_inode),
            &raw mut ids,
            size_of::<bpf_pidns_info>() as u32,
        )
    };
    pid != 0 && error == 0 && ids.tgid == pid
}
