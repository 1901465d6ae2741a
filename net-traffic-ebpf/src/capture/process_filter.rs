//! The process filter: whether the packets of a process are captured.

use core::ffi::c_void;

use net_traffic_common::{
    PROCESS_HAS_UID, ProcessKey, UNOWNED,
    packet::{FILTER_CGROUP, FILTER_NAME, FILTER_PID, FILTER_UID},
};

use super::{setting, wanted_name};
use crate::maps::{FILTER_CGROUPS, FILTER_PIDS, PROCESSES};

/// Whether the filter selects the process. A filter selects no process whose PID, name, cgroup or user is unknown.
#[inline(always)]
pub(crate) fn selects(owner: ProcessKey) -> bool {
    let choose = setting!(process_filter);
    if choose == 0 {
        return true;
    }
    if owner == UNOWNED {
        return false;
    }
    if choose & FILTER_PID != 0 && FILTER_PIDS.get_ptr(owner.pid()).is_none() {
        return false;
    }
    if choose & (FILTER_NAME | FILTER_CGROUP | FILTER_UID) == 0 {
        return true;
    }
    let Some(row) = PROCESSES.get_ptr(owner) else { return false };
    // SAFETY: a live map value, whose name is aligned to eight.
    let (name, cgroup, flags, uid) = unsafe {
        let name = (&raw const (*row).comm).cast::<c_void>().cast::<[u64; 2]>().read();
        (name, (*row).cgroup, (*row).flags, (*row).uid)
    };
    let wanted = wanted_name();
    let has_name = name[0] == wanted[0] && name[1] == wanted[1];
    let has_uid = flags & PROCESS_HAS_UID != 0 && uid == setting!(uid);
    (choose & FILTER_NAME == 0 || has_name)
        && (choose & FILTER_UID == 0 || has_uid)
        && (choose & FILTER_CGROUP == 0 || FILTER_CGROUPS.get_ptr(cgroup).is_some())
}
