//! Which processes descend from this program. Ids are used again, so that a process is told by its id and its start.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use windows_sys::Win32::System::JobObjects::IsProcessInJob;
use windows_sys::Win32::System::Threading::PROCESS_QUERY_INFORMATION;

use super::processes::{Handle, identity};
use net_traffic_snapshot::ProcessId;

/// A process of the job, held until somebody has looked at it: as long as it is, nobody else gets its id.
#[derive(Debug)]
pub(super) struct Newcomer {
    pub(super) pid: u32,
    pub(super) handle: Handle,
}

/// Every process that this program's job ever had. A source asks for them; a process has one job of this kind.
#[derive(Debug, Default)]
struct Family {
    members: HashSet<ProcessId>,
    newcomers: Vec<Newcomer>,
}

static FAMILY: Mutex<Option<Family>> = Mutex::new(None);

/// Takes note of a process that the job told of. One that was gone before it could be looked at has no known start;
/// whoever has its id by then is somebody else.
pub(super) fn remember(job: &Handle, pid: u32) {
    let handle = Handle::of_process(pid).filter(|process| is_in(process, pid, job));
    let started = handle.as_ref().and_then(Handle::started);
    let mut family = family();
    let family = family.get_or_insert_default();
    // A process may be told of more than once.
    if family.members.insert(identity(pid, started)) {
        family.newcomers.extend(handle.map(|handle| Newcomer { pid, handle }));
    }
}

pub(super) fn members() -> Vec<ProcessId> {
    family().iter().flat_map(|family| family.members.iter().copied()).collect()
}

pub(super) fn has(id: ProcessId) -> bool {
    family().as_ref().is_some_and(|family| family.members.contains(&id))
}

/// Those that came since they were taken last.
pub(super) fn newcomers() -> Vec<Newcomer> {
    family().as_mut().map(|family| std::mem::take(&mut family.newcomers)).unwrap_or_default()
}

/// The process is held meanwhile, so that its id is its own. Some systems want more than the least right to it.
fn is_in(process: &Handle, pid: u32, job: &Handle) -> bool {
    let ask = |process: &Handle| {
        let mut is_in = 0;
        // SAFETY: both are open; the answer is writable.
        let done = unsafe { IsProcessInJob(process.raw(), job.raw(), &raw mut is_in) };
        (done != 0).then_some(is_in != 0)
    };
    let again = || ask(&Handle::open(pid, PROCESS_QUERY_INFORMATION)?);
    ask(process).or_else(again).unwrap_or(false)
}

fn family() -> MutexGuard<'static, Option<Family>> {
    FAMILY.lock().unwrap_or_else(PoisonError::into_inner)
}
