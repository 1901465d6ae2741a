//! Names, users and cgroups of processes, kept from one snapshot to the next.

use std::collections::{HashMap, HashSet};

use nix::unistd::{Uid, User};

use super::parse;
use super::process::{ProcessDir, STAT_LIMIT};
use crate::cgroup;
use net_traffic_snapshot::{Process, ProcessId};

/// What is known of processes.
#[derive(Default)]
pub(super) struct Details {
    now_ns: u64,
    known: HashMap<ProcessId, Known>,
    ended: Vec<Process>,
    users: HashMap<u32, Option<String>>,
    buffer: Vec<u8>,
}

struct Known {
    process: Process,
    read_ns: u64,
}

/// User and cgroup of a process seldom change; its end and its name are looked at every time.
const REFRESH_NS: u64 = 10_000_000_000;
/// Longer command lines are cut.
const COMMAND_LIMIT: usize = 4096;
const FILE_LIMIT: usize = 16 << 10;

impl Details {
    /// Begins a snapshot: looks which processes live, and gives those that have ended since the one before.
    pub(super) fn begin(&mut self, now_ns: u64) -> HashSet<ProcessId> {
        self.now_ns = now_ns;
        let ids: Vec<_> = self.known.keys().copied().collect();
        let ended: HashSet<_> = ids.into_iter().filter(|id| !self.refresh(*id)).collect();
        self.ended = ended.iter().filter_map(|id| self.known.remove(id)).map(exited).collect();
        ended
    }

    /// The process, if it lives or lived at the snapshot before.
    pub(super) fn of(&mut self, id: ProcessId) -> Option<&Process> {
        if let Some(at) = self.ended.iter().position(|process| process.id == id) {
            return self.ended.get(at);
        }
        if !self.known.contains_key(&id) {
            let process = self.read(id)?;
            self.known.insert(id, Known { process, read_ns: self.now_ns });
        }
        self.known.get(&id).map(|known| &known.process)
    }

    /// The processes that ended since the snapshot before, once.
    pub(super) fn ended(&mut self) -> impl Iterator<Item = Process> + use<> {
        std::mem::take(&mut self.ended).into_iter()
    }

    /// The name of a user.
    pub(super) fn user(&mut self, uid: u32) -> Option<String> {
        self.users.entry(uid).or_insert_with(|| user_name(uid)).clone()
    }

    pub(super) fn keep_only(&mut self, used: &HashSet<ProcessId>) {
        self.known.retain(|id, _| used.contains(id));
    }

    /// Whether the process still lives. Reads the rest anew if it runs another program, or after a while.
    fn refresh(&mut self, id: ProcessId) -> bool {
        let Some(name) = self.name(id) else { return false };
        let Some(known) = self.known.get(&id) else { return true };
        if known.process.name != name || self.now_ns.saturating_sub(known.read_ns) >= REFRESH_NS {
            let Some(process) = self.read(id) else { return false };
            self.known.insert(id, Known { process, read_ns: self.now_ns });
        }
        true
    }

    fn name(&mut self, id: ProcessId) -> Option<String> {
        let directory = ProcessDir::open(id.pid).ok()?;
        let stat = parse::stat(directory.read("stat", &mut self.buffer, STAT_LIMIT).ok()?)?;
        (stat.start_ticks == id.start_ticks).then(|| stat.name.into_owned())
    }

    fn read(&mut self, id: ProcessId) -> Option<Process> {
        let Self { users, buffer, .. } = self;
        let directory = ProcessDir::open(id.pid).ok()?;
        // One handle is one process: if this is the wrong one, so are all its files, else none is.
        let stat = parse::stat(directory.read("stat", buffer, STAT_LIMIT).ok()?)?;
        if stat.start_ticks != id.start_ticks {
            return None;
        }
        let name = stat.name.into_owned();
        let command = directory.read("cmdline", buffer, COMMAND_LIMIT).ok().and_then(parse::command);
        let uid = directory.read("status", buffer, FILE_LIMIT).ok().and_then(parse::effective_uid);
        let cgroup = directory.read("cgroup", buffer, FILE_LIMIT).ok().and_then(cgroup::path_of);
        let user = uid.and_then(|uid| users.entry(uid).or_insert_with(|| user_name(uid)).clone());
        Some(Process { id, name, command, uid, user, container: None, cgroup, counted: None, exited: false })
    }
}

fn exited(known: Known) -> Process {
    Process { exited: true, ..known.process }
}

fn user_name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}
