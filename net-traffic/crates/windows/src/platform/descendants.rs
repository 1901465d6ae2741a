//! The processes that descend from this program. Windows reuses PIDs, so that a PID and a start time identify a process.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::System::JobObjects::IsProcessInJob;
use windows_sys::Win32::System::Threading::PROCESS_QUERY_INFORMATION;

use crate::processes::handle::{Handle, identity};
use net_traffic_snapshot::ProcessId;

/// A new process of the job. Its PID is not reused while the handle is open.
#[derive(Debug)]
pub(crate) struct NewProcess {
    pub(crate) pid: u32,
    pub(crate) handle: Handle,
}

/// All processes that this program's job has had. This process has one such job.
#[derive(Debug, Default)]
struct Descendants {
    members: HashSet<ProcessId>,
    /// Processes that no collector has taken yet.
    new: Vec<NewProcess>,
}

static DESCENDANTS: Mutex<Option<Descendants>> = Mutex::new(None);

/// Records a process of the job. A process that ended before it was opened gets no start time: another process may have
/// its PID by now.
pub(super) fn record(job: &Handle, pid: u32) {
    let handle = Handle::of_process(pid).filter(|process| is_in_job(process, pid, job));
    let started = handle.as_ref().and_then(Handle::started);
    let mut descendants = lock();
    let descendants = descendants.get_or_insert_default();
    // The job's message and its process list both report the same process.
    if descendants.members.insert(identity(pid, started)) {
        descendants.new.extend(handle.map(|handle| NewProcess { pid, handle }));
    }
}

pub(crate) fn members() -> Vec<ProcessId> {
    lock().iter().flat_map(|descendants| descendants.members.iter().copied()).collect()
}

pub(crate) fn contains(id: ProcessId) -> bool {
    lock().as_ref().is_some_and(|descendants| descendants.members.contains(&id))
}

/// Takes the processes that are new since the last call.
pub(crate) fn take_new() -> Vec<NewProcess> {
    lock().as_mut().map(|descendants| std::mem::take(&mut descendants.new)).unwrap_or_default()
}

/// Whether the process is in the job. `IsProcessInJob` needs only `PROCESS_QUERY_LIMITED_INFORMATION` on current
/// versions of Windows
/// (<https://learn.microsoft.com/en-us/windows/win32/api/jobapi/nf-jobapi-isprocessinjob>); older
/// ones want `PROCESS_QUERY_INFORMATION`.
fn is_in_job(process: &Handle, pid: u32, job: &Handle) -> bool {
    let query = |process: &Handle| {
        let mut is_in = 0;
        // SAFETY: both handles are open; the result is writable.
        let done = unsafe { IsProcessInJob(process.raw(), job.raw(), &raw mut is_in) };
        (done != 0).then_some(is_in != 0)
    };
    let with_more_rights = || query(&Handle::open(pid, PROCESS_QUERY_INFORMATION)?);
    query(process).or_else(with_more_rights).unwrap_or(false)
}

fn lock() -> MutexGuard<'static, Option<Descendants>> {
    DESCENDANTS.lock().unwrap_or_else(PoisonError::into_inner)
}
