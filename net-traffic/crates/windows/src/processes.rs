//! Who a process id is: name, user and start time, kept as long as somebody may ask.
//!
//! A handle is kept to each process that was asked for. While it is, the system does not use the id again, and the
//! end of the process can be seen.

mod clocks;
mod handle;
pub(super) mod listing;
mod user;

use std::collections::{HashMap, HashSet};

use self::clocks::Clocks;
pub(super) use self::handle::Handle;
use self::listing::Listing;
use self::user::Users;
use super::descendants::Newcomer;
use crate::events::Owners;
use net_traffic_snapshot::{Bytes, Process, ProcessId, Status};

/// Every process that was asked for and that lives, or ended since the last snapshot.
#[derive(Debug, Default)]
pub(super) struct Processes {
    current: HashMap<u32, Known>,
    ended: Vec<Known>,
    /// The names and the sums of those that have ended, as they were last reported.
    last: HashMap<ProcessId, (String, Bytes)>,
    /// Who had an id last, with the start: events may come after the end.
    former: HashMap<u32, (ProcessId, i64)>,
    users: Users,
    listing: Listing,
    clocks: Clocks,
    /// Whom nobody may look at, by the last count.
    closed_to_us: HashSet<u32>,
}

#[derive(Debug)]
struct Known {
    process: Process,
    /// When it was started, in steps of 100 ns since 1601; 0 where that cannot be seen.
    started: i64,
    /// `None` for a process that may not be looked at.
    handle: Option<Handle>,
    /// It was found, though it may not show more than its name.
    is_there: bool,
    /// It was in a snapshot.
    reported: bool,
}

impl Processes {
    /// Begins a snapshot: sees who has ended since the one before.
    pub(super) fn begin(&mut self) {
        self.listing.forget();
        self.clocks.read();
        self.closed_to_us.clear();
        let ended: Vec<u32> = self
            .current
            .iter()
            .filter(|(_, known)| known.handle.as_ref().is_none_or(Handle::has_ended))
            .map(|(pid, _)| *pid)
            .collect();
        for pid in ended {
            self.end(pid);
        }
    }

    /// Takes over a process that was looked at when it came, and may have ended by now.
    pub(super) fn adopt(&mut self, Newcomer { pid, handle }: Newcomer) {
        let is_it = |known: &Known| known.handle.is_some() && Some(known.started) == handle.started();
        if self.current.get(&pid).is_some_and(is_it) {
            return;
        }
        // As long as the handle is held, whoever else is known by the id is gone.
        self.end(pid);
        let known = self.describe(pid, Some(handle));
        self.current.insert(pid, known);
    }

    /// Who has this id now.
    pub(super) fn now(&mut self, pid: u32) -> ProcessId {
        self.at(pid, i64::MAX)
    }

    /// What is known of a process that lives, or has just ended.
    pub(super) fn known(&self, id: ProcessId) -> Option<&Process> {
        let known = self.current.get(&id.pid).into_iter().chain(&self.ended);
        known.map(|known| &known.process).find(|process| process.id == id)
    }

    /// All that owned something or moved bytes, with what was counted of them, and, once, those that ended.
    pub(super) fn report(
        &mut self,
        owners: &HashSet<ProcessId>,
        counted: Option<&HashMap<ProcessId, Bytes>>,
    ) -> Vec<Process> {
        let bytes_of = |id: ProcessId| Some(counted?.get(&id).copied().unwrap_or_default());
        let is_wanted =
            |id: ProcessId| owners.contains(&id) || counted.is_some_and(|all| all.contains_key(&id));
        let mut processes = Vec::new();
        let mut told = HashSet::new();
        for known in self.current.values_mut().filter(|known| is_wanted(known.process.id)) {
            known.reported = true;
            told.insert(known.process.id);
            let counted = bytes_of(known.process.id);
            processes.push(Process { counted, ..known.process.clone() });
        }
        for known in self.ended.drain(..) {
            let id = known.process.id;
            if known.started != 0 {
                remember(&mut self.former, id, known.started);
            }
            // Whoever may not be looked at is looked up anew in each snapshot, and lives as long as it is found.
            let lives = known.handle.is_none()
                && (told.contains(&id)
                    || self.listing.name(id.pid).is_some_and(|name| short_name(&name) == known.process.name));
            if lives || !(known.reported || is_wanted(id)) {
                continue;
            }
            told.insert(id);
            let counted = bytes_of(id);
            if let Some(bytes) = counted {
                self.last.insert(id, (known.process.name.clone(), bytes));
            }
            processes.push(Process { counted, exited: true, ..known.process });
        }
        // Those of whom nothing was counted have nothing to gain on, and must not fill the memory.
        if self.last.len() > 2 * MOST_FORMER {
            self.last.retain(|id, _| counted.is_some_and(|all| all.contains_key(id)));
        }
        // Sums that are no process, processes that were gone before anybody looked, and those that have gained since
        // they ended.
        for (id, bytes) in counted.into_iter().flatten().filter(|(id, _)| !told.contains(id)) {
            let last = self.last.get(id);
            if last.is_none_or(|(_, before)| before != bytes) {
                let name = last.map_or_else(|| UNKNOWN.to_owned(), |(name, _)| name.clone());
                processes.push(Process { counted: Some(*bytes), name: name.clone(), ..gone(*id) });
                self.last.insert(*id, (name, *bytes));
            }
        }
        processes
    }

    /// What can be told of owners, and what cannot.
    pub(super) fn status(&self) -> Status {
        let hidden = self.closed_to_us.len();
        Status {
            slot: "owners".to_owned(),
            tier: Some("polling".to_owned()),
            program: Some("QueryFullProcessImageName".to_owned()),
            covers: Some("the owner of each socket that the tables name, its name and user".to_owned()),
            reason: (hidden > 0).then(|| format!("{hidden} processes do not show their user")),
            remedy: (hidden > 0).then(|| "run it as administrator".to_owned()),
        }
    }

    fn end(&mut self, pid: u32) {
        if let Some(known) = self.current.remove(&pid) {
            self.ended.push(known);
        }
    }

    fn look(&mut self, pid: u32) -> Known {
        self.describe(pid, Handle::of_process(pid))
    }

    /// Without a handle there is nothing but what the system lists.
    fn describe(&mut self, pid: u32, handle: Option<Handle>) -> Known {
        let started = handle.as_ref().and_then(Handle::started);
        let path = handle.as_ref().and_then(Handle::image);
        if handle.is_none() {
            self.closed_to_us.insert(pid);
        }
        let listed = if path.is_some() { None } else { self.listing.name(pid) };
        let is_there = handle.is_some() || listed.is_some();
        let name =
            path.as_ref().or(listed.as_ref()).map_or_else(|| UNKNOWN.to_owned(), |path| short_name(path));
        let user = handle.as_ref().and_then(|handle| self.users.of(handle));
        let id = identity(pid, started);
        let process = Process { command: path, user, name, exited: false, ..gone(id) };
        Known { process, started: started.unwrap_or(0), handle, is_there, reported: false }
    }
}

impl Owners for Processes {
    fn at(&mut self, pid: u32, time: i64) -> ProcessId {
        if pid == 0 {
            return ProcessId::default();
        }
        let is_now = time == i64::MAX;
        if let Some(id) = self.holder(pid, time, is_now) {
            return id;
        }
        if !self.current.contains_key(&pid) {
            let known = self.look(pid);
            self.current.insert(pid, known);
        }
        // What began a moment after the event, by another clock, is whose it is, unless somebody had the id before.
        let later = time.saturating_add(self.clocks.apart);
        let of = |time| self.holder(pid, time, is_now).or_else(|| self.former(pid, time, is_now));
        of(time).or_else(|| of(later)).unwrap_or_else(|| identity(pid, None))
    }
}

impl Processes {
    /// Who had the id at that time, of those that live or have just ended.
    fn holder(&self, pid: u32, time: i64, is_now: bool) -> Option<ProcessId> {
        let had_it = |known: &&Known| known.process.id.pid == pid && known.is_there && known.started <= time;
        let just_ended = self.ended.iter().rev().filter(|_| !is_now);
        self.current.get(&pid).into_iter().chain(just_ended).find(had_it).map(|known| known.process.id)
    }

    /// Who had it before: the last events come after it was told that it ended.
    fn former(&self, pid: u32, time: i64, is_now: bool) -> Option<ProcessId> {
        let (former, started) = self.former.get(&pid).filter(|_| !is_now)?;
        (*started <= time).then_some(*former)
    }
}

/// A process of which nothing is known.
fn gone(id: ProcessId) -> Process {
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
/// As many ids as a system has at a time.
const MOST_FORMER: usize = 1 << 16;

/// Bounded, and so is what may come late.
fn remember(former: &mut HashMap<u32, (ProcessId, i64)>, id: ProcessId, started: i64) {
    if former.len() >= MOST_FORMER {
        former.clear();
    }
    former.insert(id.pid, (id, started));
}

/// The identity of a process that was started then, or nobody knows when.
pub(super) fn identity(pid: u32, started: Option<i64>) -> ProcessId {
    ProcessId { pid, start_ticks: ticks(started.unwrap_or(0)) }
}

/// In steps of 10 ms, of which as many as fit are kept: as good as a counter since boot.
fn ticks(started: i64) -> u32 {
    const STEP: i64 = 100_000;
    u32::try_from((started / STEP).rem_euclid(1 << 32)).unwrap_or_default()
}

/// The file's name without `.exe`, as Get-Process shows it.
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
