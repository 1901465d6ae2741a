//! Who owns the sockets: finds the process of each inode and describes the processes, from /proc.
//!
//! The owner of a socket that several processes hold is the one with the lowest PID among those searched when the
//! socket was first seen (in the first snapshot: all), and stays the owner while it lives. A process that may not
//! be read leaves the owner `None`. A socket keeps its owner from one snapshot to the next, so descriptors are
//! searched only for new sockets; and on a host with many descriptors first only where their number has changed,
//! so that there the owner of a new socket may be `None` in one snapshot and known in the next.

mod details;
mod parse;
mod process;
mod scan;

use std::collections::{HashMap, HashSet};
use std::io;

use self::details::Details;
use self::scan::Scanner;
use super::rights::{self, Capabilities};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Process, ProcessId, Snapshot, Socket, SocketId, Status};

/// Fills in the owners that are missing, and the processes.
#[derive(Default)]
pub struct ProcFs {
    owners: HashMap<SocketId, ProcessId>,
    /// How often the holder of a socket was searched in vain.
    in_vain: HashMap<SocketId, u8>,
    scanner: Scanner,
    details: Details,
}

const NAME: &str = "procfs";
/// A socket may be seen before its descriptor is, and then be found later; kernel sockets are never found.
const SEARCHES: u8 = 3;

impl ProcFs {
    fn find_owners(&mut self, snapshot: &mut Snapshot) -> io::Result<()> {
        let mut missing = HashSet::new();
        let (mut search, mut thorough) = (false, false);
        for (socket, inode) in unowned(&mut snapshot.sockets) {
            socket.owner = self.owners.get(&socket.id).copied();
            if socket.owner.is_none() {
                missing.insert(inode);
                let times = self.in_vain.get(&socket.id).copied().unwrap_or(0);
                search |= times < SEARCHES;
                // Most of the sockets that are not found at once are gone by the next snapshot.
                thorough |= (1..SEARCHES).contains(&times);
            }
        }
        if search {
            let found = self.scanner.holders(&missing, thorough)?;
            for (socket, inode) in unowned(&mut snapshot.sockets) {
                socket.owner = found.get(&inode).copied();
                match socket.owner {
                    Some(owner) => drop(self.owners.insert(socket.id, owner)),
                    None => *self.in_vain.entry(socket.id).or_default() += 1,
                }
            }
        }
        Ok(())
    }

    /// Forgets what the snapshot no longer has.
    fn prune(&mut self, sockets: &[Socket]) {
        if self.owners.len() + self.in_vain.len() > sockets.len() {
            let present: HashSet<_> = sockets.iter().map(|socket| socket.id).collect();
            self.owners.retain(|id, _| present.contains(id));
            self.in_vain.retain(|id, _| present.contains(id));
        }
    }
}

impl Collector for ProcFs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn collect(&mut self, snapshot: &mut Snapshot) -> Result<(), CollectError> {
        let ended = self.details.begin(snapshot.at.monotonic_ns);
        self.owners.retain(|_, owner| !ended.contains(owner));
        let found = self.find_owners(snapshot);
        self.prune(&snapshot.sockets);
        describe(&mut self.details, snapshot);
        let unknown = unowned(&mut snapshot.sockets).count();
        snapshot.status.extend(statuses(unknown, rights::effective().ok()));
        found.map_err(|cause| CollectError { collector: NAME, attempt: "search the descriptors", cause })
    }
}

/// The sockets that some process should hold, though none is known, with their inodes.
fn unowned(sockets: &mut [Socket]) -> impl Iterator<Item = (&mut Socket, u64)> {
    sockets.iter_mut().filter(|socket| socket.owner.is_none()).filter_map(|socket| {
        let inode = socket.inode?;
        Some((socket, inode))
    })
}

/// Adds the owners that no earlier collector has added, and what such a collector left open.
fn describe(details: &mut Details, snapshot: &mut Snapshot) {
    let Snapshot { sockets, processes, users, .. } = snapshot;
    let mut present = HashSet::new();
    for process in &mut *processes {
        present.insert(process.id);
        match details.of(process.id) {
            Some(known) => complete(process, known),
            // It ended before anybody could look.
            None => process.user = process.user.take().or_else(|| details.user(process.uid?)),
        }
    }
    for owner in sockets.iter().filter_map(|socket| socket.owner) {
        if present.insert(owner) {
            processes.extend(details.of(owner).cloned());
        }
    }
    for uid in sockets.iter().filter(|socket| socket.owner.is_none()).filter_map(|socket| socket.uid) {
        if !users.contains_key(&uid) {
            users.extend(details.user(uid).map(|name| (uid, name)));
        }
    }
    processes.extend(details.ended().filter(|process| !present.contains(&process.id)));
    details.keep_only(&present);
}

fn complete(process: &mut Process, known: &Process) {
    if process.name.is_empty() {
        process.name.clone_from(&known.name);
    }
    process.command = process.command.take().or_else(|| known.command.clone());
    process.uid = process.uid.or(known.uid);
    process.user = process.user.take().or_else(|| known.user.clone());
    // It knows all hierarchies, the programs one.
    process.cgroup = known.cgroup.clone().or(process.cgroup.take());
}

/// What the descriptors gave, and, as an entry of its own, which right would give more.
fn statuses(unknown: usize, capabilities: Option<Capabilities>) -> Vec<Status> {
    let missing = capabilities.and_then(|capabilities| rights::missing_for(rights::OWNERS, capabilities));
    let found = Status {
        slot: rights::OWNERS.to_owned(),
        tier: Some("polling".to_owned()),
        program: Some("/proc/PID/fd".to_owned()),
        covers: Some("the holder of each descriptor, name and user, as far as /proc shows them".to_owned()),
        reason: (unknown > 0).then(|| format!("{unknown} sockets without an owner that /proc shows")),
        remedy: None,
    };
    std::iter::once(found).chain(missing).collect()
}

#[cfg(test)]
mod tests;
