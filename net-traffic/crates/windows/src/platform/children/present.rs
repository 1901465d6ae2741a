//! Reads the process list of a job.

use std::collections::HashSet;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, GetLastError};
use windows_sys::Win32::System::JobObjects::{JobObjectBasicProcessIdList, QueryInformationJobObject};

use crate::processes::handle::Handle;

/// The capacity of the list. The job sends a message for each process, too, so that a longer list loses nothing.
const MAX_PROCESSES: usize = 1024;

/// `JOBOBJECT_BASIC_PROCESS_ID_LIST` with room for the PIDs
/// (<https://learn.microsoft.com/en-us/windows/win32/api/winnt/ns-winnt-jobobject_basic_process_id_list>).
#[repr(C)]
struct List {
    assigned: u32,
    listed: u32,
    ids: [usize; MAX_PROCESSES],
}

/// The running processes of the job; `None` if the query fails.
pub(super) fn in_job(job: &Handle) -> Option<HashSet<u32>> {
    let mut list = Box::new(List { assigned: 0, listed: 0, ids: [0; MAX_PROCESSES] });
    let octets = u32::try_from(size_of::<List>()).ok()?;
    let into = (&raw mut *list).cast();
    // SAFETY: the list is writable and has `octets` octets.
    let done = unsafe {
        QueryInformationJobObject(job.raw(), JobObjectBasicProcessIdList, into, octets, std::ptr::null_mut())
    };
    // SAFETY: the call has no arguments.
    if done == 0 && unsafe { GetLastError() } != ERROR_MORE_DATA {
        return None;
    }
    let listed = usize::try_from(list.listed).unwrap_or(MAX_PROCESSES).min(MAX_PROCESSES);
    Some(list.ids[..listed].iter().filter_map(|id| u32::try_from(*id).ok()).collect())
}
