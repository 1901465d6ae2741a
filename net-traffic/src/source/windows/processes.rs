//! Who a process id is: name, user and start time, kept as long as somebody may ask.
//!
//! A handle is kept to each process that was asked for. While it is, the system does not use the id again, and the
//! end of the process can be seen.

mod handle;
mod listing;
mod user;

use std::collections::{HashMap, HashSet};

pub(super) use self::handle::Handle;
use self::listing::Listing;
use self::user::Users;
use crate::snapshot::{Bytes, Process, ProcessId, Status};
use crate::source::etw::Owners;

/// Every process that was asked for and that lives, or ended since the last snapshot.
#[derive(Debug, Default)]
pub(super) struct Processes {
    current: HashMap<u32, Known>,
    ended: Vec<Known>,
    /// The names and the sums of those that have ended, as they were last reported.
    last: HashMap<ProcessId, (String, Bytes)>,
    users: Users,
    listing: Listing,
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
    /// It was in a snapshot.
    reported: bool,
}

impl Processes {
    /// Begins a snapshot: sees who has ended since the one before.
    pub(super) fn begin(&mut self) {
        self.listing.forget();
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
        for known in self.ended.drain(..).filter(|known| known.reported || is_wanted(known.process.id)) {
            // Whoever may not be looked at is looked up anew in each snapshot, and lives as long as it is found.
            if known.handle.is_none() && told.contains(&known.process.id) {
                continue;
            }
            told.insert(known.process.id);
            let counted = bytes_of(known.process.id);
            if let Some(bytes) = counted {
                self.last.insert(known.process.id, (known.process.name.clone(), bytes));
            }
            processes.push(Process { counted, exited: true, ..known.process });
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
        let handle = Handle::of_process(pid);
        let started = handle.as_ref().and_then(Handle::started);
        let path = handle.as_ref().and_then(Handle::image);
        if handle.is_none() {
            self.closed_to_us.insert(pid);
        }
        let name = match &path {
            Some(path) => short_name(path),
            None => self.listing.name(pid).map_or_else(|| UNKNOWN.to_owned(), |name| short_name(&name)),
        };
        let user = handle.as_ref().and_then(|handle| self.users.of(handle));
        let id = ProcessId { pid, start_ticks: ticks(started.unwrap_or(0)) };
        let process = Process { command: path, user, name, exited: false, ..gone(id) };
        Known { process, started: started.unwrap_or(0), handle, reported: false }
    }
}

impl Owners for Processes {
    fn at(&mut self, pid: u32, time: i64) -> ProcessId {
        if pid == 0 {
            return ProcessId::default();
        }
        if let Some(known) = self.current.get(&pid)
            && known.started <= time
        {
            return known.process.id;
        }
        let before = self
            .ended
            .iter()
            .rev()
            .find(|known| known.process.id.pid == pid && known.started <= time && time != i64::MAX);
        if let Some(known) = before {
            return known.process.id;
        }
        let known = self.current.entry(pid);
        let known = match known {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(_) => {
                let known = self.look(pid);
                self.current.entry(pid).or_insert(known)
            }
        };
        if known.started <= time { known.process.id } else { ProcessId { pid, start_ticks: 0 } }
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
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_name_a_user_and_a_start() {
        let mut processes = Processes::default();
        let id = processes.now(std::process::id());
        assert!(id.start_ticks != 0);
        assert_eq!(processes.now(std::process::id()), id);
        let listed = processes.report(&HashSet::from([id]), None);
        assert_eq!(listed.len(), 1);
        let own = std::env::current_exe().unwrap();
        assert_eq!(listed[0].name, own.file_stem().unwrap().to_string_lossy());
        assert!(listed[0].user.as_ref().is_some_and(|user| !user.is_empty()));
        assert!(!listed[0].exited);
    }

    #[test]
    fn an_event_before_the_start_is_of_another_process() {
        let mut processes = Processes::default();
        let id = processes.now(std::process::id());
        let before = processes.at(std::process::id(), 1);
        assert_ne!(before, id);
        assert_eq!(before.pid, id.pid);
    }

    #[test]
    fn an_ended_process_is_reported_once() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut processes = Processes::default();
        let id = processes.now(child.id());
        assert_eq!(processes.report(&HashSet::from([id]), None).len(), 1);
        child.wait().unwrap();
        processes.begin();
        let ended = processes.report(&HashSet::new(), None);
        assert!(ended.len() == 1 && ended[0].exited && ended[0].id == id);
        assert!(processes.report(&HashSet::new(), None).is_empty());
    }

    #[test]
    fn an_ended_process_that_was_counted_keeps_its_name_and_is_not_repeated() {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .arg("--list")
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut processes = Processes::default();
        let id = processes.now(child.id());
        let counted = |rx| HashMap::from([(id, Bytes { rx, tx: 0 })]);
        let name = processes.report(&HashSet::new(), Some(&counted(1)))[0].name.clone();
        assert_ne!(name, UNKNOWN);
        child.wait().unwrap();
        processes.begin();
        assert!(processes.report(&HashSet::new(), Some(&counted(2)))[0].exited);
        assert!(processes.report(&HashSet::new(), Some(&counted(2))).is_empty());
        let late = processes.report(&HashSet::new(), Some(&counted(3)));
        assert!(late.len() == 1 && late[0].name == name);
    }

    #[test]
    fn names_are_those_of_the_files() {
        for (path, name) in [
            (r"C:\Windows\System32\svchost.exe", "svchost"),
            ("X.EXE", "X"),
            ("System", "System"),
            ("a.b", "a.b"),
            ("é.exe", "é"),
            ("äöü", "äöü"),
            ("", ""),
        ] {
            assert_eq!(short_name(path), name);
        }
    }
}
