//! Finds the owners of sockets by the links in /proc/PID/fd. The most expensive step of a snapshot.

use std::collections::{HashMap, HashSet};
use std::io;

use super::parse;
use super::process::{Directory, ProcessDir};
use net_traffic_snapshot::ProcessId;

/// Searches the descriptors of processes, and first of those whose number of descriptors has changed.
///
/// Otherwise one new socket would cause a read of every descriptor of the host.
pub(super) struct FdScanner {
    /// The number of descriptors of each process at the last search; 0 before Linux 6.2.
    counts: HashMap<u32, u64>,
    budget: u64,
}

/// The most descriptors of unchanged processes that one search reads: some ten milliseconds.
const BUDGET: u64 = 4000;
const PROCESSES_BUFFER: usize = 32 << 10;
const DESCRIPTORS_BUFFER: usize = 32 << 10;
/// Room for `socket:[` and 20 digits; a longer target is not a socket.
const LINK_BUFFER: usize = 32;

impl Default for FdScanner {
    fn default() -> Self {
        Self { counts: HashMap::new(), budget: BUDGET }
    }
}

impl FdScanner {
    /// The owner of each inode: the process with the lowest PID among those searched.
    ///
    /// Processes with as many descriptors as before are searched only if `thorough` is set or the budget suffices.
    pub(super) fn owners(
        &mut self,
        wanted: &HashSet<u64>,
        thorough: bool,
    ) -> io::Result<HashMap<u64, ProcessId>> {
        let mut search = FdSearch { wanted, found: HashMap::new(), buffer: vec![0; DESCRIPTORS_BUFFER] };
        let mut counts = HashMap::new();
        let mut unchanged = Vec::new();
        let mut rest = 0;
        // The kernel lists PIDs in ascending order, so that the first match has the lowest
        // (<https://github.com/gregkh/linux/blob/v6.12.117/fs/proc/base.c#L3579>).
        Directory::proc()?.numbers(&mut vec![0; PROCESSES_BUFFER], |_, pid, _| {
            // A process that has ended or whose descriptors may not be read is left out.
            if let Ok((process, descriptors)) = open(pid) {
                let count = descriptors.count();
                if count != 0 && self.counts.get(&pid) == Some(&count) {
                    unchanged.push(pid);
                    rest += count;
                } else {
                    search.process(pid, &process, &descriptors);
                }
                counts.insert(pid, count);
            }
            true
        })?;
        self.counts = counts;
        if thorough || rest <= self.budget {
            for pid in unchanged {
                if let (false, Ok((process, descriptors))) = (search.is_complete(), open(pid)) {
                    search.process(pid, &process, &descriptors);
                }
            }
        }
        Ok(search.found)
    }
}

fn open(pid: u32) -> io::Result<(ProcessDir, Directory)> {
    let process = ProcessDir::open(pid)?;
    let descriptors = process.descriptors()?;
    Ok((process, descriptors))
}

struct FdSearch<'a> {
    wanted: &'a HashSet<u64>,
    found: HashMap<u64, ProcessId>,
    buffer: Vec<u8>,
}

impl FdSearch<'_> {
    fn is_complete(&self) -> bool {
        self.found.len() >= self.wanted.len()
    }

    fn process(&mut self, pid: u32, process: &ProcessDir, descriptors: &Directory) {
        if self.is_complete() {
            return;
        }
        let Self { wanted, found, buffer } = self;
        let mut id = None;
        // A process may end during the listing. The inodes found so far stay.
        let _ended = descriptors.numbers(buffer, |descriptors, _, name| {
            let mut link = [0; LINK_BUFFER];
            let inode = descriptors.link(name, &mut link).ok().and_then(parse::socket_inode);
            let Some(inode) = inode.filter(|inode| wanted.contains(inode)) else { return true };
            id = id.or_else(|| process.id(pid));
            let Some(id) = id else { return false };
            found.entry(inode).or_insert(id);
            found.len() < wanted.len()
        });
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd;
    use std::os::unix::fs::MetadataExt;
    use std::process::{Child, Command, Stdio};

    use super::*;
    use crate::platform::host;

    fn inode_of(socket: &impl AsRawFd) -> u64 {
        std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
    }

    /// A process with one socket, its standard input, and a constant number of descriptors.
    fn socket_owner() -> (Child, u64) {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = inode_of(&socket);
        let input = Stdio::from(std::os::fd::OwnedFd::from(socket));
        (Command::new("sleep").arg("60").stdin(input).spawn().unwrap(), inode)
    }

    #[test]
    fn owner_of_own_socket_is_this_process() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&socket);
        let found = FdScanner::default().owners(&HashSet::from([inode, 0]), false).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[&inode].pid, std::process::id());
    }

    #[test]
    fn unchanged_process_is_searched_if_cheap_or_thorough() {
        let (mut child, inode) = socket_owner();
        let wanted = HashSet::from([inode]);
        let mut limited = FdScanner { budget: 0, ..FdScanner::default() };
        let pids = |found: HashMap<u64, ProcessId>| found.values().map(|id| id.pid).collect::<Vec<_>>();
        assert_eq!(
            pids(limited.owners(&wanted, false).unwrap()),
            [child.id()],
            "every process is new at first"
        );
        // The loader of the new process still opens and closes files. Before Linux 6.2 the count is 0.
        let counts = open(child.id()).unwrap().1.count() != 0;
        let skipped = |scanner: &mut FdScanner| scanner.owners(&wanted, false).unwrap().is_empty();
        let deadline_ns = host::now().monotonic_ns + 20_000_000_000;
        let mut was_skipped = skipped(&mut limited);
        while counts && !was_skipped && host::now().monotonic_ns < deadline_ns {
            was_skipped = skipped(&mut limited);
        }
        assert_eq!(was_skipped, counts, "the number of descriptors is constant");
        assert_eq!(pids(limited.owners(&wanted, true).unwrap()), [child.id()]);
        limited.budget = u64::MAX;
        assert_eq!(pids(limited.owners(&wanted, false).unwrap()), [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
