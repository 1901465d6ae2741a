//! Finds which process holds which socket, by the links in /proc/PID/fd. The dearest step of a snapshot.

use std::collections::{HashMap, HashSet};
use std::io;

use super::parse;
use super::process::{Directory, ProcessDir};
use net_traffic_snapshot::ProcessId;

/// Searches the descriptors of processes, first of those whose number of descriptors has changed.
///
/// Without that, one new socket would make a host with many descriptors read all of them.
pub(super) struct Scanner {
    /// How many descriptors each process had at the search before. Kernels before 6.2 do not tell.
    counts: HashMap<u32, u64>,
    budget: u64,
}

/// As many descriptors of unchanged processes are searched at once: some ten milliseconds.
const BUDGET: u64 = 4000;
const PROCESSES_BUFFER: usize = 32 << 10;
const DESCRIPTORS_BUFFER: usize = 32 << 10;
/// Room for `socket:[` and 20 digits; what is longer is no socket.
const LINK_BUFFER: usize = 32;

impl Default for Scanner {
    fn default() -> Self {
        Self { counts: HashMap::new(), budget: BUDGET }
    }
}

impl Scanner {
    /// The holders of the inodes: of several, the one with the lowest PID among the processes searched.
    ///
    /// Unless it is `thorough`, processes with as many descriptors as before are searched only if that is cheap.
    pub(super) fn holders(
        &mut self,
        wanted: &HashSet<u64>,
        thorough: bool,
    ) -> io::Result<HashMap<u64, ProcessId>> {
        let mut search = Search { wanted, found: HashMap::new(), buffer: vec![0; DESCRIPTORS_BUFFER] };
        let mut counts = HashMap::new();
        let mut unchanged = Vec::new();
        let mut rest = 0;
        // The kernel lists the PIDs in ascending order, so the first holder that is met has the lowest.
        Directory::proc()?.numbers(&mut vec![0; PROCESSES_BUFFER], |_, pid, _| {
            // A process that has ended or may not be read is left out.
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

struct Search<'a> {
    wanted: &'a HashSet<u64>,
    found: HashMap<u64, ProcessId>,
    buffer: Vec<u8>,
}

impl Search<'_> {
    fn is_complete(&self) -> bool {
        self.found.len() >= self.wanted.len()
    }

    fn process(&mut self, pid: u32, process: &ProcessDir, descriptors: &Directory) {
        if self.is_complete() {
            return;
        }
        let Self { wanted, found, buffer } = self;
        let mut id = None;
        // A process that ends during the listing holds nothing any more: what was found of it until then stays.
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

    fn inode_of(socket: &impl AsRawFd) -> u64 {
        std::fs::metadata(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap().ino()
    }

    /// A process whose only socket is its standard input; its number of descriptors does not change.
    fn holder() -> (Child, u64) {
        let (socket, _peer) = std::os::unix::net::UnixStream::pair().unwrap();
        let inode = inode_of(&socket);
        let input = Stdio::from(std::os::fd::OwnedFd::from(socket));
        (Command::new("sleep").arg("60").stdin(input).spawn().unwrap(), inode)
    }

    #[test]
    fn the_holder_of_an_own_socket_is_this_process() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = inode_of(&socket);
        let found = Scanner::default().holders(&HashSet::from([inode, 0]), false).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[&inode].pid, std::process::id());
    }

    #[test]
    fn an_unchanged_process_is_searched_only_when_cheap_or_thoroughly() {
        let (mut child, inode) = holder();
        let wanted = HashSet::from([inode]);
        let mut dear = Scanner { budget: 0, ..Scanner::default() };
        let pids = |found: HashMap<u64, ProcessId>| found.values().map(|id| id.pid).collect::<Vec<_>>();
        assert_eq!(pids(dear.holders(&wanted, false).unwrap()), [child.id()], "everything is new at first");
        // This program is still being loaded, which opens and closes files. A kernel before 6.2 tells no count.
        let counts = open(child.id()).unwrap().1.count() != 0;
        let skipped = |scanner: &mut Scanner| scanner.holders(&wanted, false).unwrap().is_empty();
        assert_eq!((0..1000).any(|_| skipped(&mut dear)), counts, "nothing has changed");
        assert_eq!(pids(dear.holders(&wanted, true).unwrap()), [child.id()]);
        dear.budget = u64::MAX;
        assert_eq!(pids(dear.holders(&wanted, false).unwrap()), [child.id()]);
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
