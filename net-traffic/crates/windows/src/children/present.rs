//! Who is in a job now.

use std::collections::HashSet;

use windows_sys::Win32::Foundation::{ERROR_MORE_DATA, GetLastError};
use windows_sys::Win32::System::JobObjects::{JobObjectBasicProcessIdList, QueryInformationJobObject};

use crate::processes::Handle;

/// More processes at a time are not told one by one: each also comes with a message of the job.
const MOST: usize = 1024;

/// The list as the system fills it in: how many are in the job, how many are listed, and those.
#[repr(C)]
struct List {
    assigned: u32,
    listed: u32,
    ids: [usize; MOST],
}

/// The processes of the job that have not ended; `None` if that cannot be told.
pub(super) fn in_job(job: &Handle) -> Option<HashSet<u32>> {
    let mut list = Box::new(List { assigned: 0, listed: 0, ids: [0; MOST] });
    let octets = u32::try_from(size_of::<List>()).ok()?;
    let into = (&raw mut *list).cast();
    // SAFETY: the list is writable and as large as said.
    let done = unsafe {
        QueryInformationJobObject(job.raw(), JobObjectBasicProcessIdList, into, octets, std::ptr::null_mut())
    };
    // SAFETY: takes nothing.
    if done == 0 && unsafe { GetLastError() } != ERROR_MORE_DATA {
        return None;
    }
    let listed = usize::try_from(list.listed).unwrap_or(MOST).min(MOST);
    Some(list.ids[..listed].iter().filter_map(|id| u32::try_from(*id).ok()).collect())
}
