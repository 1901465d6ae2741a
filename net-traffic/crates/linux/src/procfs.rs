//! Finds the owner of each socket by inode, and reads name, user and command line of the owners, from /proc.
//!
//! - Several processes may have a descriptor of one socket. The owner is the process with the lowest PID among those
//!   searched in the socket's first snapshot, and stays the owner while it lives.
//! - A socket of a process whose descriptors may not be read has the owner `None`.
//! - A socket keeps its owner between snapshots, so that only new sockets cause a search.
//! - On a host with many descriptors the first search for a socket covers only processes whose number of descriptors
//!   has changed. The owner may then be `None` in one snapshot and known in the next.

mod details;
mod parse;
mod process;
mod scan;

use std::collections::{HashMap, HashSet};
use std::io;

use self::details::ProcessDetails;
use self::scan::FdScanner;
use super::rights::{self, Capabilities};
use net_traffic_snapshot::{CollectError, Collector};
use net_traffic_snapshot::{Process, ProcessId, Snapshot, Socket, SocketId, Status};

/// Adds missing owners and their processes to a snapshot.
#[derive(Default)]
pub struct ProcFs {
    owners: HashMap<SocketId, ProcessId>,
    /// Searches without a result, by socket.
    failed_searches: HashMap<SocketId, u8>,
    scanner: FdScanner,
    details: ProcessDetails,
}

const NAME: &str = "procfs";
/// Searches per socket: a socket may be listed before its descriptor is installed. A kernel socket has none.
const SEARCHES: u8 = 3;

impl ProcFs {
    fn find_owners(&mut self, snapshot: &mut Snapshot) -> io::Result<()> {
        let mut missing = HashSet::new();
        let (mut search, mut thorough) = (false, false);
        for (socket, inode) in unowned(&mut snapshot.sockets) {
            socket.owner = self.owners.get(&socket.id).copied();
            if socket.owner.is_none() {
                missing.insert(inode);
                let times = self.failed_searches.get(&socket.id).copied().unwrap_or(0);
                search |= times < SEARCHES;
                // Most sockets without an owner after the first search are closed by the next snapshot.
                thorough |= (1..SEARCHES).contains(&times);
            }
        }
        if search {
            let found = self.scanner.owners(&missing, thorough)?;
            for (socket, inode) in unowned(&mut snapshot.sockets) {
                socket.owner = found.get(&inode).copied();
                match socket.owner {
                    Some(owner) => drop(self.owners.insert(socket.id, owner)),
                    None => *self.failed_searches.entry(socket.id).or_default() += 1,
                }
            }
        }
        Ok(())
    }

    /// Removes the entries of closed sockets.
    fn prune(&mut self, sockets: &[Socket]) {
        if self.owners.len() + self.failed_searches.len() > sockets.len() {
            let present: HashSet<_> = sockets.iter().map(|socket| socket.id).collect();
            self.owners.retain(|id, _| present.contains(id));
            self.failed_searches.retain(|id, _| present.contains(id));
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

/// The sockets with an inode and without a known owner.
fn unowned(sockets: &mut [Socket]) -> impl Iterator<Item = (&mut Socket, u64)> {
    sockets.iter_mut().filter(|socket| socket.owner.is_none()).filter_map(|socket| {
        let inode = socket.inode?;
        Some((socket, inode))
    })
}

/// Adds missing owners, and fills in the fields that an earlier collector left empty.
fn describe(details: &mut ProcessDetails, snapshot: &mut Snapshot) {
    let Snapshot { sockets, processes, users, .. } = snapshot;
    let mut present = HashSet::new();
    for process in &mut *processes {
        present.insert(process.id);
        match details.of(process.id) {
            Some(known) => complete(process, known),
            // The process ended before /proc was read.
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
    // /proc/PID/cgroup has the path in every hierarchy, the eBPF programs report one hierarchy.
    process.cgroup = known.cgroup.clone().or(process.cgroup.take());
}

/// The status of the search, and a separate entry for a missing capability.
fn statuses(unknown: usize, capabilities: Option<Capabilities>) -> Vec<Status> {
    let missing = capabilities.and_then(|capabilities| rights::missing_for(rights::OWNERS, capabilities));
    let found = Status {
        slot: rights::OWNERS.to_owned(),
        tier: Some("polling".to_owned()),
        program: Some("/proc/PID/fd".to_owned()),
        covers: Some("the owner of each descriptor, name and user, as far as /proc shows them".to_owned()),
        reason: (unknown > 0).then(|| format!("{unknown} sockets without an owner that /proc shows")),
        remedy: None,
    };
    std::iter::once(found).chain(missing).collect()
}

#[cfg(test)]
mod tests;
