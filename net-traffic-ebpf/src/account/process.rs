//! The rows of processes: made when a process first owns a socket, added to when its bytes are settled.

use core::ffi::c_void;

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_uid_gid};
use net_traffic_common::{OTHER, PROCESS_HAS_UID, ProcessCounters, ProcessKey};

use super::{
    add, cgroup, family,
    loss::{self, EEXIST},
};
use crate::{
    kernel::{Memory, Typed, Untyped, current_leader, offset, process_key, read_octets},
    maps::PROCESSES,
};

/// The current process, whose row exists from now on (unless the map is full: counted).
///
/// Name, user and cgroup are taken here, once a socket and not once a call, because a process that ends within
/// milliseconds is gone from /proc before anybody looks.
#[inline(always)]
pub(crate) fn current() -> ProcessKey {
    let leader = current_leader();
    // SAFETY: the leader of the current task.
    let key = unsafe { process_key::<Typed>(leader) };
    if PROCESSES.get_ptr(key).is_none() {
        let row = ProcessCounters {
            cgroup: cgroup::current(),
            flags: PROCESS_HAS_UID,
            uid: bpf_get_current_uid_gid() as u32,
            // SAFETY: the leader of the current task.
            comm: unsafe { read_octets(leader, offset!(comm)) },
            ..ProcessCounters::default()
        };
        announce(key, &row);
    }
    key
}

/// Adds bytes to the row of a process, or of `OTHER` if there is no room for it: the sum over all rows is kept.
#[inline(always)]
pub(crate) fn post(key: ProcessKey, rx: u64, tx: u64) {
    if rx | tx == 0 {
        return;
    }
    if PROCESSES.get_ptr(key).is_none() {
        // The reader removed the row of an ended process, or its first insertion failed.
        announce(key, &ProcessCounters::default());
    }
    if let Some(row) = PROCESSES.get_ptr_mut(key).or_else(|| PROCESSES.get_ptr_mut(OTHER)) {
        // SAFETY: a map value that stays allocated while the program runs.
        unsafe {
            add(&raw mut (*row).rx_bytes, rx);
            add(&raw mut (*row).tx_bytes, tx);
        }
    }
}

/// Announces a process that is not the current one, and tells of a row that is there what it lacks.
///
/// # Safety
/// `leader` points to the `struct task_struct` of its first thread.
#[inline(always)]
pub(crate) unsafe fn describe(key: ProcessKey, leader: *const c_void) {
    // SAFETY: as the caller promises; what cannot be read is zero.
    let row = unsafe {
        let cred = Untyped::read::<u64>(leader, offset!(cred)) as *const c_void;
        ProcessCounters {
            cgroup: cgroup::of_task(leader),
            flags: PROCESS_HAS_UID,
            uid: Untyped::read(cred, offset!(cred_uid)),
            comm: read_octets(leader, offset!(comm)),
            ..ProcessCounters::default()
        }
    };
    let Some(known) = PROCESSES.get_ptr_mut(key) else { return announce(key, &row) };
    // SAFETY: a live map value; whoever writes these members writes the same.
    unsafe {
        if (*known).cgroup == 0 {
            (*known).cgroup = row.cgroup;
        }
        if (*known).flags & PROCESS_HAS_UID == 0 {
            (*known).uid = row.uid;
            (*known).flags |= PROCESS_HAS_UID;
        }
    }
}

#[inline(always)]
pub(crate) fn announce(key: ProcessKey, row: &ProcessCounters) {
    let mut row = *row;
    row.flags |= family::flag(key);
    if let Err(error) = PROCESSES.insert(key, row, u64::from(BPF_NOEXIST))
        && error != EEXIST
    {
        loss::count_insert(error);
    }
}
