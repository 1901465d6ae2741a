//! Network namespaces: resolves a path, a name or a PID, and runs code in a namespace
//! (<https://man7.org/linux/man-pages/man7/network_namespaces.7.html>).

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

/// An open network namespace. The descriptor keeps the namespace alive.
#[derive(Debug)]
pub struct NetNs {
    file: File,
    inode: u32,
    /// The namespace of this process: `run` does not enter it.
    own: bool,
}

/// Why `--netns` names no namespace.
#[derive(Debug, thiserror::Error)]
pub enum NetNsError {
    #[error("no process has the pid {0}")]
    NoProcess(u32),
    #[error("{}: no such network namespace; `ip netns list` shows those with a name", .0.display())]
    NoPath(PathBuf),
    #[error("{}: {cause} (another user's namespace needs CAP_SYS_PTRACE)", .path.display())]
    Refused { path: PathBuf, cause: io::Error },
    #[error("{}: not a network namespace", .0.display())]
    NotNetNs(PathBuf),
}

const OWN: &str = "/proc/thread-self/ns/net";
/// The mount points of `ip netns`, each with the name of a namespace.
const NAMED: &str = "/run/netns";
/// The mount points of namespaces that may have no process: those of `ip netns` and of Docker.
const MOUNTED: &[&str] = &[NAMED, "/run/docker/netns"];

impl NetNs {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not mounted.
    pub fn own() -> Result<Self, NetNsError> {
        Ok(Self { own: true, ..Self::open(Path::new(OWN).to_owned(), None)? })
    }

    /// The namespace of a `--netns` value: a PID, a path, or a name of `ip netns list`.
    ///
    /// # Errors
    /// When the value names no network namespace, or the namespace may not be opened.
    pub fn resolve(name: &str) -> Result<Self, NetNsError> {
        if let Ok(pid) = name.parse() {
            return Self::open(PathBuf::from(format!("/proc/{pid}/ns/net")), Some(pid));
        }
        let path = PathBuf::from(name);
        let named = Path::new(NAMED).join(name);
        Self::open(if !path.exists() && named.exists() { named } else { path }, None)
    }

    /// Every namespace of a process and every mounted one, as far as this process may open them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = |directory: &str| std::fs::read_dir(directory).into_iter().flatten().flatten();
        let of_processes = entries("/proc")
            .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
            .map(|entry| entry.path().join("ns/net"));
        let mounted = MOUNTED.iter().flat_map(|directory| entries(directory)).map(|entry| entry.path());
        let mut seen = HashSet::new();
        of_processes
            .chain(mounted)
            // Most processes share a namespace, and a stat is cheaper than an open.
            .filter(|path| std::fs::metadata(path).is_ok_and(|metadata| seen.insert(metadata.ino())))
            .filter_map(|path| Self::open(path, None).ok())
            .collect()
    }

    /// Duplicates the descriptor.
    ///
    /// # Errors
    /// When the process has no free descriptor.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, inode: self.inode, own: self.own })
    }

    /// The namespace's inode number, as `ls -iL /proc/self/ns/net` prints it.
    #[must_use]
    pub const fn inode(&self) -> u32 {
        self.inode
    }

    /// Runs `act` in the namespace and returns the result. A socket that `act` opens stays in the namespace.
    ///
    /// A new thread enters another namespace, so that the calling thread stays where it is.
    ///
    /// # Errors
    /// When the namespace may not be entered: `setns(2)` needs `CAP_SYS_ADMIN`.
    pub fn run<T: Send>(&self, act: impl FnOnce() -> T + Send) -> io::Result<T> {
        if self.own {
            return Ok(act());
        }
        thread::scope(|scope| {
            let inside = thread::Builder::new().name("netns".to_owned()).spawn_scoped(scope, || {
                setns(&self.file, CloneFlags::CLONE_NEWNET)?;
                Ok(act())
            })?;
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The descriptor, for netlink requests with `NETNSA_FD`.
    pub(super) fn descriptor(&self) -> i32 {
        self.file.as_raw_fd()
    }

    fn open(path: PathBuf, pid: Option<u32>) -> Result<Self, NetNsError> {
        let file = File::open(&path).map_err(|cause| match (cause.kind(), pid) {
            (io::ErrorKind::NotFound, Some(pid)) => NetNsError::NoProcess(pid),
            (io::ErrorKind::NotFound, None) => NetNsError::NoPath(path.clone()),
            _ => NetNsError::Refused { path: path.clone(), cause },
        })?;
        // nsfs has 32-bit inode numbers (<https://github.com/gregkh/linux/blob/v6.12.117/include/linux/ns_common.h#L12>).
        let inode = file.metadata().ok().and_then(|metadata| u32::try_from(metadata.ino()).ok());
        match inode {
            Some(inode) if is_netns(&file) => Ok(Self { file, inode, own: false }),
            _ => Err(NetNsError::NotNetNs(path)),
        }
    }
}

fn is_netns(file: &File) -> bool {
    if !fstatfs(file).is_ok_and(|statistics| statistics.filesystem_type() == NSFS_MAGIC) {
        return false;
    }
    // SAFETY: the descriptor is open, and NS_GET_NSTYPE takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), libc::NS_GET_NSTYPE) };
    kind == libc::CLONE_NEWNET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_namespace_is_resolved_by_pid_and_path() {
        let own = NetNs::own().unwrap();
        let by_pid = NetNs::resolve(&std::process::id().to_string()).unwrap();
        let by_path = NetNs::resolve(OWN).unwrap();
        assert_eq!(own.inode(), by_pid.inode());
        assert_eq!(own.inode(), by_path.inode());
    }

    #[test]
    fn all_namespaces_contain_own_and_no_duplicate() {
        let mut inodes: Vec<_> = NetNs::all().iter().map(NetNs::inode).collect();
        assert!(inodes.contains(&NetNs::own().unwrap().inode()));
        let found = inodes.len();
        inodes.sort_unstable();
        inodes.dedup();
        assert_eq!(inodes.len(), found);
    }

    #[test]
    fn path_without_netns_is_refused_with_reason() {
        let error = |name| NetNs::resolve(name).unwrap_err().to_string();
        assert_eq!(error("4194999"), "no process has the pid 4194999");
        assert!(error("/nonexistent/ns").contains("no such network namespace"));
        assert_eq!(error("/proc/self/stat"), "/proc/self/stat: not a network namespace");
        assert_eq!(error("/proc/self/ns/uts"), "/proc/self/ns/uts: not a network namespace");
    }

    #[test]
    fn code_for_own_namespace_runs_in_calling_thread() {
        let here = thread::current().id();
        assert_eq!(NetNs::own().unwrap().run(|| thread::current().id()).unwrap(), here);
    }
}
