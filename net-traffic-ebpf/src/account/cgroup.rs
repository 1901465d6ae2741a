//! Cgroups in the hierarchy that identifies containers.

use core::ffi::c_void;

use aya_ebpf::{
    bindings::BPF_ANY,
    helpers::generated::{bpf_get_current_cgroup_id, bpf_probe_read_kernel_str},
};
use net_traffic_common::{CGROUP_PATH, CgroupPath, HIERARCHY_V2};

use crate::{
    kernel::{Cgroup, HIERARCHY, Task, Untyped, constant},
    maps::{CGROUP_PATHS, PATH_BUFFER},
};

/// The ID of the current process's cgroup.
#[inline(always)]
pub(crate) fn current() -> u64 {
    if constant(&HIERARCHY.id) == HIERARCHY_V2 {
        // SAFETY: the helper has no requirement.
        return unsafe { bpf_get_current_cgroup_id() };
    }
    Task::current().cgroup_id()
}

/// Stores the path of a new cgroup.
///
/// # Safety
/// `path` points to the cgroup's path, and no other cgroup is made on this CPU meanwhile.
#[inline(always)]
pub(crate) unsafe fn store_path(cgroup: Cgroup<Untyped>, path: *const c_void) {
    if cgroup.hierarchy_id() != constant(&HIERARCHY.id) {
        return;
    }
    let Some(buffer) = PATH_BUFFER.get_ptr_mut(0) else { return };
    // SAFETY: the buffer is this CPU's, and as the caller promises, no other program writes to it.
    unsafe {
        let length = bpf_probe_read_kernel_str(buffer.cast(), CGROUP_PATH as u32, path);
        let path: &CgroupPath = &*buffer;
        if length > 0 && CGROUP_PATHS.insert(cgroup.id(), path, u64::from(BPF_ANY)).is_err() {
            // User space finds the path of a living cgroup by itself.
        }
    }
}
