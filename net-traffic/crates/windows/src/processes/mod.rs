//! Maps PIDs to processes: name, user and start time.
//!
//! A handle stays open for each process that was looked up. While the handle is open, Windows does not reuse the PID,
//! and the end of the process can be read
//! (<https://learn.microsoft.com/en-us/windows/win32/procthread/process-handles-and-identifiers>).

mod clocks;
pub(super) mod handle;
pub(super) mod listing;
mod user;

use std::collections::{HashMap, HashSet};

use self::clocks::Clocks;
pub(super) use self::handle::Handle;
use self::handle::identity;
use self::listing::NameList;
use self::user::Users;
use crate::events::PidResolver;
use crate::platform::descendants::NewProcess;
use net_traffic_snapshot::{Bytes, Process, ProcessId, Status};

/// The processes that were looked up and run, or have ended since the last snapshot.
#[derive(Debug, Default)]
pub(super) struct Processes {
    current: HashMap<u32, Entry>,
    ended: Vec<Entry>,
    /// Names and byte totals of ended processes, as last reported.
    last_reports: HashMap<ProcessId, (String, Bytes)>,
    /// The last owner of each PID, and its start time: ETW may deliver events after the end of the process.
    last_owners: HashMap<u32, (ProcessId, i64)>,
    users: Users,
    names: NameList,
    clocks: Clocks,
    /// Processes that could not be opened during this snapshot.
    inaccessible: HashSet<u32>,
}

#[derive(Debug)]
struct Entry {
    process: Process,
    /// The start time as a `FILETIME`; 0 if unknown.
    started: i64,
    /// `None` if the process could not be opened.
    handle: Option<Handle>,
    /// The process was opened, or is in the process list.
    exists: bool,
    /// The process was in a snapshot.
    reported: bool,
}

impl Processes {
    /// Begins a snapshot: finds the processes that have ended since the last one.
    pub(super) fn begin_snapshot(&mut self) {
        self.names.clear();
        self.clocks.read();
        self.inaccessible.clear();
        let ended: Vec<u32> = self
            .current
            .iter()
            .filter(|(_, entry)| entry.handle.as_ref().is_none_or(Handle::has_ended))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in ended {
            self.end(pid);
        }
    }

    /// Adds a process whose handle is open. The process may have ended.
    pub(super) fn insert_new(&mut self, NewProcess { pid, handle }: NewProcess) {
        let is_it = |entry: &Entry| entry.handle.is_some() && Some(entry.started) == handle.started();
        if self.current.get(&pid).is_some_and(is_it) {
            return;
        }
        // The PID belongs to this process while the handle is open: another entry of the PID has ended.
        self.end(pid);
        let entry = self.describe(pid, Some(handle));
        self.current.insert(pid, entry);
    }

    /// The process that has this PID now.
    pub(super) fn current_id(&mut self, pid: u32) -> ProcessId {
        self.process_at(pid, i64::MAX)
    }

    /// A process that runs, or has ended since the last snapshot.
    pub(super) fn get(&self, id: ProcessId) -> Option<&Process> {
        let entry = self.current.get(&id.pid).into_iter().chain(&self.ended);
        entry.map(|entry| &entry.process).find(|process| process.id == id)
    }

    /// The processes that own a socket or have moved bytes, with their byte totals. An ended process is reported once.
    pub(super) fn report(
        &mut self,
        owners: &HashSet<ProcessId>,
        counted: Option<&HashMap<ProcessId, Bytes>>,
    ) -> Vec<Process> {
        let bytes_of = |id: ProcessId| Some(counted?.get(&id).copied().unwrap_or_default());
        let is_wanted =
            |id: ProcessId| owners.contains(&id) || counted.is_some_and(|all| all.contains_key(&id));
        let mut processes = Vec::new();
        let mut done = HashSet::new();
        for entry in self.current.values_mut().filter(|entry| is_wanted(entry.process.id)) {
            entry.reported = true;
            done.insert(entry.process.id);
            let counted = bytes_of(entry.process.id);
            processes.push(Process { counted, ..entry.process.clone() });
        }
        for entry in self.ended.drain(..) {
            let id = entry.process.id;
            if entry.started != 0 {
                record_owner(&mut self.last_owners, id, entry.started);
            }
            // A process that cannot be opened is looked up in each snapshot. It runs while the process list has it.
            let runs = entry.handle.is_none()
                && (done.contains(&id)
                    || self.names.name(id.pid).is_some_and(|name| short_name(&name) == entry.process.name));
            if runs || !(entry.reported || is_wanted(id)) {
                continue;
            }
            done.insert(id);
            let counted = bytes_of(id);
            if let Some(bytes) = counted {
                self.last_reports.insert(id, (entry.process.name.clone(), bytes));
            }
            processes.push(Process { counted, exited: true, ..entry.process });
        }
        // Bounds the memory: processes without counted bytes are not reported again.
        if self.last_reports.len() > 2 * MAX_ENDED {
            self.last_reports.retain(|id, _| counted.is_some_and(|all| all.contains_key(id)));
        }
        // The rest: totals without a process, processes that ended before they were looked up, and ended processes
        // whose late events have arrived.
        for (id, bytes) in counted.into_iter().flatten().filter(|(id, _)| !done.contains(id)) {
            let last = self.last_reports.get(id);
            if last.is_none_or(|(_, before)| before != bytes) {
                let name = last.map_or_else(|| UNKNOWN.to_owned(), |(name, _)| name.clone());
                processes.push(Process { counted: Some(*bytes), name: name.clone(), ..unknown_process(*id) });
                self.last_reports.insert(*id, (name, *bytes));
            }
        }
        processes
    }

    /// The status of the slot `owners`.
    pub(super) fn status(&self) -> Status {
        let hidden = self.inaccessible.len();
        Status {
            slot: "owners".to_owned(),
            tier: Some("polling".to_owned()),
            program: Some("QueryFullProcessImageName".to_owned()),
            covers: Some("the owner of each socket in the tables, its name and user".to_owned()),
            reason: (hidden > 0).then(|| format!("the users of {hidden} processes cannot be read")),
            remedy: (hidden > 0).then(|| "run it as administrator".to_owned()),
        }
    }

    fn end(&mut self, pid: u32) {
        if let Some(entry) = self.current.remove(&pid) {
            self.ended.push(entry);
        }
    }

    fn open(&mut self, pid: u32) -> Entry {
        self.describe(pid, Handle::of_process(pid))
    }

    /// Without a handle only the name of the process list is available.
    fn describe(&mut self, pid: u32, handle: Option<Handle>) -> Entry {
        let started = handle.as_ref().and_then(Handle::started);
        let path = handle.as_ref().and_then(Handle::image);
        if handle.is_none() {
            self.inaccessible.insert(pid);
        }
        let listed = if path.is_some() { None } else { self.names.name(pid) };
        let exists = handle.is_some() || listed.is_some();
        let name =
            path.as_ref().or(listed.as_ref()).map_or_else(|| UNKNOWN.to_owned(), |path| short_name(path));
        let user = handle.as_ref().and_then(|handle| self.users.of(handle));
        let id = identity(pid, started);
        let process = Process { command: path, user, name, exited: false, ..unknown_process(id) };
        Entry { process, started: started.unwrap_or(0), handle, exists, reported: false }
    }
}

impl PidResolver for Processes {
    fn process_at(&mut self, pid: u32, time: i64) -> ProcessId {
        if pid == 0 {
            return ProcessId::default();
        }
        let is_now = time == i64::MAX;
        if let Some(id) = self.recent_owner(pid, time, is_now) {
            return id;
        }
        if !self.current.contains_key(&pid) {
            let entry = self.open(pid);
            self.current.insert(pid, entry);
        }
        // The event's clock and the clock of start times differ: a process that started shortly after the event owns it,
        // unless another process had the PID before.
        let later = time.saturating_add(self.clocks.max_difference);
        let owner =
            |time| self.recent_owner(pid, time, is_now).or_else(|| self.last_owner(pid, time, is_now));
        owner(time).or_else(|| owner(later)).unwrap_or_else(|| identity(pid, None))
    }
}

impl Processes {
    /// The process that had the PID at that time, if it runs or has ended since the last snapshot.
    fn recent_owner(&self, pid: u32, time: i64, is_now: bool) -> Option<ProcessId> {
        let is_owner = |entry: &&Entry| entry.process.id.pid == pid && entry.exists && entry.started <= time;
        let just_ended = self.ended.iter().rev().filter(|_| !is_now);
        self.current.get(&pid).into_iter().chain(just_ended).find(is_owner).map(|entry| entry.process.id)
    }

    /// The last process that had the PID and whose end was reported: its last events may arrive later.
    fn last_owner(&self, pid: u32, time: i64, is_now: bool) -> Option<ProcessId> {
        let (owner, started) = self.last_owners.get(&pid).filter(|_| !is_now)?;
        (*started <= time).then_some(*owner)
    }
}

/// A process without known attributes.
fn unknown_process(id: ProcessId) -> Process {
    Process {
        id,
        name: UNKNOWN.to_owned(),
        command: None,
        uid: None,
        user: None,
        container: None,
        cgroup: None,
        counted: None,
        exited: true,
    }
}

const UNKNOWN: &str = "?";
/// As many PIDs as a machine has at a time.
const MAX_ENDED: usize = 1 << 16;

/// Records the last owner of a PID, in bounded memory.
fn record_owner(last_owners: &mut HashMap<u32, (ProcessId, i64)>, id: ProcessId, started: i64) {
    if last_owners.len() >= MAX_ENDED {
        last_owners.clear();
    }
    last_owners.insert(id.pid, (id, started));
}

/// The file name without `.exe`, as `Get-Process` prints it.
fn short_name(path: &str) -> String {
    let file = path.rsplit(['\\', '/']).next().unwrap_or(path);
    let cut = file.len().saturating_sub(4);
    match file.get(cut..) {
        Some(end) if end.eq_ignore_ascii_case(".exe") => file[..cut].to_owned(),
        _ => file.to_owned(),
    }
}

#[cfg(test)]
mod tests;
