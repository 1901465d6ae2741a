//! The cgroup of a process, in the hierarchy that tells containers apart.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_ANY,
    helpers::{
        bpf_get_current_task_btf,
        generated::{bpf_get_current_cgroup_id, bpf_probe_read_kernel_str},
    },
};
use net_traffic_common::{CGROUP_PATH, CgroupPath};

use crate::{
    kernel::{HIERARCHY, Memory, Untyped, constant, offset},
    maps::{CGROUP_PATHS, PATH_BUFFER},
};

/// The id of the current process's cgroup.
#[inline(always)]
pub(crate) fn current() -> u64 {
    if constant(&HIERARCHY.id) == 0 {
        // SAFETY: no requirement.
        return unsafe { bpf_get_current_cgroup_id() };
    }
    // SAFETY: the current task.
    unsafe { of_task(bpf_get_current_task_btf().cast()) }
}

/// The id of a task's cgroup.
///
/// # Safety
/// `task` points to a `struct task_struct`.
#[inline(always)]
pub(crate) unsafe fn of_task(task: *const c_void) -> u64 {
    // SAFETY: the task and the structs that it points to; what cannot be read is zero.
    unsafe {
        let set = Untyped::read::<u64>(task, offset!(task_cgroups)) as *const c_void;
        let cgroup = if constant(&HIERARCHY.id) == 0 {
            Untyped::read::<u64>(set, offset!(dfl_cgrp)) as *const c_void
        } else {
            let state = Untyped::read::<u64>(set, constant(&HIERARCHY.subsystem)) as *const c_void;
            Untyped::read::<u64>(state, offset!(css_cgroup)) as *const c_void
        };
        id::<Untyped>(cgroup)
    }
}

/// Keeps the path of a cgroup that was made.
///
/// # Safety
/// `cgroup` points to a `struct cgroup`, `path` to its path.
#[inline(always)]
pub(crate) unsafe fn made(cgroup: *const c_void, path: *const c_void) {
    // SAFETY: as the caller promises; the buffer is of this CPU, and cgroups are made one at a time.
    unsafe {
        let root = Untyped::read::<u64>(cgroup, offset!(cgroup_root)) as *const c_void;
        if Untyped::read::<u32>(root, offset!(hierarchy_id)) != constant(&HIERARCHY.id) {
            return;
        }
        let Some(buffer) = PATH_BUFFER.get_ptr_mut(0) else { return };
        let length = bpf_probe_read_kernel_str(buffer.cast(), CGROUP_PATH as u32, path);
        let path: &CgroupPath = &*buffer;
        if length > 0 && CGROUP_PATHS.insert(id::<Untyped>(cgroup), path, u64::from(BPF_ANY)).is_err() {
            // The reader finds it by itself while it lives.
        }
    }
}

/// # Safety
/// `cgroup` points to a `struct cgroup` that `M` can read.
#[inline(always)]
unsafe fn id<M: Memory>(cgroup: *const c_void) -> u64 {
    // SAFETY: as the caller promises.
    unsafe {
        let node = M::read::<u64>(cgroup, offset!(cgroup_kn)) as *const c_void;
        M::read(node, offset!(kn_id))
    }
}
