//! Finds which process holds which socket, by the links in /proc/PID/fd. The dearest step of a snapshot.

use std::collections::{HashMap, HashSet};
use std::io;

use super::parse;
use super::process::{Directory, ProcessDir};
use crate::snapshot::ProcessId;

/// What a scan found.
#[derive(Debug, Default)]
pub(super) struct Holders {
    /// The holder of each inode that was found: of several, the one with the lowest PID.
    pub(super) of: HashMap<u64, ProcessId>,
    /// Processes whose descriptors may not be listed.
    pub(super) denied: usize,
}

/// Looks for the holders of `wanted` in every process, and stops when it has all.
pub(super) fn holders(wanted: &HashSet<u64>) -> io::Result<Holders> {
    let mut holders = Holders::default();
    let mut descriptors = vec![0; DESCRIPTORS_BUFFER];
    // The kernel lists the PIDs in ascending order, so the first holder that is met has the lowest.
    Directory::proc()?.numbers(&mut vec![0; PROCESSES_BUFFER], |_, pid, _| {
        holders.add(pid, wanted, &mut descriptors);
        holders.of.len() < wanted.len()
    })?;
    Ok(holders)
}

const PROCESSES_BUFFER: usize = 32 << 10;
const DESCRIPTORS_BUFFER: usize = 32 << 10;
/// Room for `socket:[` and 20 digits; what is longer is no socket.
const LINK_BUFFER: usize = 32;

impl Holders {
    /// A process that ends meanwhile holds nothing.
    fn add(&mut self, pid: u32, wanted: &HashSet<u64>, buffer: &mut [u8]) {
        let Ok(process) = ProcessDir::open(pid) else { return };
        let descriptors = match process.descriptors() {
            Ok(descriptors) => descriptors,
            Err(refusal) => {
                self.denied += usize::from(refusal.kind() == io::ErrorKind::PermissionDenied);
                return;
            }
        };
        let mut id = None;
        let listed = descriptors.numbers(buffer, |descriptors, _, name| {
            let mut link = [0; LINK_BUFFER];
            let inode = descriptors.link(name, &mut link).ok().and_then(parse::socket_inode);
            let Some(inode) = inode.filter(|inode| wanted.contains(inode)) else { return true };
            id = id.or_else(|| process.id(pid));
            let Some(id) = id else { return false };
            self.of.entry(inode).or_insert(id);
            self.of.len() < wanted.len()
        });
        self.denied +=
            usize::from(listed.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied));
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::fs::MetadataExt;

    use super::*;

    #[test]
    fn the_holder_of_an_own_socket_is_this_process() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&socket));
        let inode = std::fs::metadata(link).unwrap().ino();
        let holders = holders(&HashSet::from([inode, 0])).unwrap();
        assert_eq!(holders.of.len(), 1);
        assert_eq!(holders.of[&inode].pid, std::process::id());
    }
}
