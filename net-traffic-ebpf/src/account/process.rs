//! The rows of processes: inserted when a process first owns a socket, added to when its bytes are flushed.

use core::ptr::NonNull;

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_uid_gid};
use net_traffic_common::{OTHER, PROCESS_EXITED, PROCESS_HAS_UID, ProcessCounters, ProcessKey};

use super::{add, cgroup, descendants, loss};
use crate::{
    kernel::{Task, Typed},
    maps::PROCESSES,
};

/// A process's row: a map value, which stays allocated while the program runs.
#[derive(Clone, Copy)]
pub(crate) struct Row(NonNull<ProcessCounters>);

impl Row {
    #[inline(always)]
    pub(crate) fn of(key: ProcessKey) -> Option<Self> {
        PROCESSES.get_ptr_mut(key).and_then(NonNull::new).map(Self)
    }

    #[inline(always)]
    fn add(self, rx: u64, tx: u64) {
        let row = self.0.as_ptr();
        // SAFETY: the type's invariant.
        let (rx_bytes, tx_bytes) = unsafe { (&raw mut (*row).rx_bytes, &raw mut (*row).tx_bytes) };
        add(rx_bytes, rx);
        add(tx_bytes, tx);
    }

    #[inline(always)]
    pub(crate) fn set_comm(self, comm: [u8; 16]) {
        // SAFETY: the type's invariant; only the process itself changes its name.
        unsafe { (*self.0.as_ptr()).comm = comm };
    }

    #[inline(always)]
    pub(crate) fn set_exited(self) {
        // SAFETY: the type's invariant; a process exits once.
        unsafe { (*self.0.as_ptr()).flags |= PROCESS_EXITED };
    }

    /// Fills in the cgroup and the user where they are unknown.
    #[inline(always)]
    fn complete(self, cgroup: u64, uid: u32) {
        let row = self.0.as_ptr();
        // SAFETY: the type's invariant; all writers of these members write the same.
        unsafe {
            if (*row).cgroup == 0 {
                (*row).cgroup = cgroup;
            }
            if (*row).flags & PROCESS_HAS_UID == 0 {
                (*row).uid = uid;
                (*row).flags |= PROCESS_HAS_UID;
            }
        }
    }
}

/// The current process, whose row exists from now on (unless the map is full, which is counted).
///
/// Name, user and cgroup are read here, once per socket and not once per call, because a process that exits within
/// milliseconds leaves /proc before user space reads.
#[inline(always)]
pub(crate) fn current() -> ProcessKey {
    let leader = Task::current().group_leader();
    let key = leader.process_key();
    if PROCESSES.get_ptr(key).is_none() {
        let row = ProcessCounters {
            cgroup: cgroup::current(),
            flags: PROCESS_HAS_UID,
            uid: bpf_get_current_uid_gid() as u32,
            comm: leader.comm(),
            ..ProcessCounters::default()
        };
        insert(key, &row);
    }
    key
}

/// Adds bytes to the row of a process, or of `OTHER` if there is no room for a new row: the sum over all rows is
/// exact.
#[inline(always)]
pub(crate) fn post(key: ProcessKey, rx: u64, tx: u64) {
    if rx | tx == 0 {
        return;
    }
    if PROCESSES.get_ptr(key).is_none() {
        // User space removed the row of an exited process, or the first insertion failed.
        insert(key, &ProcessCounters::default());
    }
    if let Some(row) = Row::of(key).or_else(|| Row::of(OTHER)) {
        row.add(rx, tx);
    }
}

/// Inserts the row of a process that is not the current one, or completes an existing row. `leader` is the process's
/// first thread.
#[inline(always)]
pub(crate) fn describe(key: ProcessKey, leader: Task<Typed>) {
    let row = ProcessCounters {
        cgroup: leader.cgroup_id(),
        flags: PROCESS_HAS_UID,
        uid: leader.uid(),
        comm: leader.comm(),
        ..ProcessCounters::default()
    };
    match Row::of(key) {
        Some(known) => known.complete(row.cgroup, row.uid),
        None => insert(key, &row),
    }
}

#[inline(always)]
pub(crate) fn insert(key: ProcessKey, row: &ProcessCounters) {
    let mut row = *row;
    row.flags |= descendants::flag(key);
    loss::count_failed(PROCESSES.insert(key, row, u64::from(BPF_NOEXIST)));
}
