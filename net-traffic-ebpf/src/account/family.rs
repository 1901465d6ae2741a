//! Who descends from the process whose descendants are traced.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::{BPF_ANY, bpf_pidns_info},
    helpers::generated::bpf_get_ns_current_pid_tgid,
};
use net_traffic_common::{PROCESS_TRACED, ProcessKey};

use super::loss;
use crate::{
    kernel::{ANCESTOR, Typed, constant, offset, process_key},
    kernel::{Memory, constant_u64},
    maps::FAMILY,
};

/// The flag of a process's row, if it is one of them.
#[inline(always)]
pub(crate) fn flag(key: ProcessKey) -> u32 {
    if FAMILY.get_ptr(key).is_some() { PROCESS_TRACED } else { 0 }
}

/// The current process, or a thread of it, has made `child`.
///
/// # Safety
/// `parent` and `child` point to a `struct task_struct` each, with a type that the verifier knows.
#[inline(always)]
pub(crate) unsafe fn born(parent: *const c_void, child: *const c_void) {
    // SAFETY: as the caller promises.
    unsafe {
        if Typed::read::<u32>(child, offset!(pid)) != Typed::read::<u32>(child, offset!(tgid)) {
            // A thread.
            return;
        }
        let leader = Typed::read::<u64>(parent, offset!(group_leader)) as *const c_void;
        if (FAMILY.get_ptr(process_key::<Typed>(leader)).is_some() || is_ancestor())
            && let Err(error) = FAMILY.insert(process_key::<Typed>(child), 1, u64::from(BPF_ANY))
        {
            loss::count_insert(error);
        }
    }
}

/// The last thread of the process ends.
#[inline(always)]
pub(crate) fn ended(key: ProcessKey) {
    if FAMILY.remove(key).is_err() {
        // It was not one of them.
    }
}

/// Whether the current process is the one whose descendants are traced, by the PID that it sees itself.
#[inline(always)]
fn is_ancestor() -> bool {
    let pid = constant(&ANCESTOR.pid);
    let mut seen = bpf_pidns_info { pid: 0, tgid: 0 };
    // SAFETY: the helper fills the struct, whose size it is told.
    let error = unsafe {
        bpf_get_ns_current_pid_tgid(
            constant_u64(&ANCESTOR.namespace_device),
            constant_u64(&ANCESTOR.namespace_inode),
            &raw mut seen,
            size_of::<bpf_pidns_info>() as u32,
        )
    };
    pid != 0 && error == 0 && seen.tgid == pid
}
