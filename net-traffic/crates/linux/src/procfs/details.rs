//! Caches names, users and cgroups of processes between snapshots.

use std::collections::{HashMap, HashSet};

use nix::unistd::{Uid, User};

use super::parse;
use super::process::{ProcessDir, STAT_LIMIT};
use crate::cgroup;
use net_traffic_snapshot::{Process, ProcessId};

/// The cache.
#[derive(Default)]
pub(super) struct ProcessDetails {
    now_ns: u64,
    known: HashMap<ProcessId, CachedProcess>,
    ended: Vec<Process>,
    users: HashMap<u32, Option<String>>,
    buffer: Vec<u8>,
}

struct CachedProcess {
    process: Process,
    read_ns: u64,
}

/// The age at which user and cgroup are read again. The name is read for every snapshot.
const REFRESH_NS: u64 = 10_000_000_000;
/// The length at which a command line is cut.
const COMMAND_LIMIT: usize = 4096;
const FILE_LIMIT: usize = 16 << 10;

impl ProcessDetails {
    /// Begins a snapshot. Returns the processes that have ended since the last one.
    pub(super) fn begin(&mut self, now_ns: u64) -> HashSet<ProcessId> {
        self.now_ns = now_ns;
        let ids: Vec<_> = self.known.keys().copied().collect();
        let ended: HashSet<_> = ids.into_iter().filter(|id| !self.refresh(*id)).collect();
        self.ended = ended.iter().filter_map(|id| self.known.remove(id)).map(exited).collect();
        ended
    }

    /// The process, if the process lives or has ended since the last snapshot.
    pub(super) fn of(&mut self, id: ProcessId) -> Option<&Process> {
        if let Some(at) = self.ended.iter().position(|process| process.id == id) {
            return self.ended.get(at);
        }
        if !self.known.contains_key(&id) {
            let process = self.read(id)?;
            self.known.insert(id, CachedProcess { process, read_ns: self.now_ns });
        }
        self.known.get(&id).map(|known| &known.process)
    }

    /// The processes that have ended since the last snapshot; a second call returns none.
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

    /// Whether the process lives. A new name or an old entry causes a full read.
    fn refresh(&mut self, id: ProcessId) -> bool {
        let Some(name) = self.name(id) else { return false };
        let Some(known) = self.known.get(&id) else { return true };
        if known.process.name != name || self.now_ns.saturating_sub(known.read_ns) >= REFRESH_NS {
            let Some(process) = self.read(id) else { return false };
            self.known.insert(id, CachedProcess { process, read_ns: self.now_ns });
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
        // The directory handle belongs to one process, so that one check of the start time covers all files.
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

fn exited(known: CachedProcess) -> Process {
    Process { exited: true, ..known.process }
}

fn user_name(uid: u32) -> Option<String> {
    User::from_uid(Uid::from_raw(uid)).ok().flatten().map(|user| user.name)
}
