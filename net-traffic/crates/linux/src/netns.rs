//! Network namespaces: finds one by path or PID, and runs code inside it.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

/// An open network namespace; it lives at least as long as this.
#[derive(Debug)]
pub struct NetNs {
    file: File,
    inode: u32,
    /// The namespace that this program is in: nothing has to be entered.
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
/// Where `ip netns` keeps the namespaces that have a name.
const NAMED: &str = "/run/netns";
/// Where namespaces without a process may be: there, and where Docker keeps those of its containers.
const KEPT: &[&str] = &[NAMED, "/run/docker/netns"];

impl NetNs {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// When /proc is not there.
    pub fn own() -> Result<Self, NetNsError> {
        Ok(Self { own: true, ..Self::open(Path::new(OWN).to_owned(), None)? })
    }

    /// The namespace that `--netns` names: the PID of a process in it, a path, or a name that `ip netns` knows.
    ///
    /// # Errors
    /// When nothing of that name is a network namespace, or it may not be opened.
    pub fn resolve(name: &str) -> Result<Self, NetNsError> {
        if let Ok(pid) = name.parse() {
            return Self::open(PathBuf::from(format!("/proc/{pid}/ns/net")), Some(pid));
        }
        let path = PathBuf::from(name);
        let named = Path::new(NAMED).join(name);
        Self::open(if !path.exists() && named.exists() { named } else { path }, None)
    }

    /// Every namespace that a process is in or that is kept by name, as far as this process may see them.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let entries = |directory: &str| std::fs::read_dir(directory).into_iter().flatten().flatten();
        let of_processes = entries("/proc")
            .filter(|entry| entry.file_name().as_encoded_bytes().first().is_some_and(u8::is_ascii_digit))
            .map(|entry| entry.path().join("ns/net"));
        let kept = KEPT.iter().flat_map(|directory| entries(directory)).map(|entry| entry.path());
        let mut seen = HashSet::new();
        of_processes
            .chain(kept)
            // Most processes share one: to open it again would cost more than to look.
            .filter(|path| std::fs::metadata(path).is_ok_and(|metadata| seen.insert(metadata.ino())))
            .filter_map(|path| Self::open(path, None).ok())
            .collect()
    }

    /// The same namespace, for another holder.
    ///
    /// # Errors
    /// When there are no descriptors left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { file: self.file.try_clone()?, inode: self.inode, own: self.own })
    }

    /// The namespace's inode number, as `ls -iL /proc/self/ns/net` prints it.
    #[must_use]
    pub const fn inode(&self) -> u32 {
        self.inode
    }

    /// Runs `act` inside the namespace and gives what it returns. A socket that it opens stays in there.
    ///
    /// Another namespace is entered by a thread of its own, so the caller never leaves its own.
    ///
    /// # Errors
    /// When the namespace may not be entered: that takes `CAP_SYS_ADMIN`.
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

    /// For requests that name a namespace by an open descriptor.
    pub(super) fn descriptor(&self) -> i32 {
        self.file.as_raw_fd()
    }

    fn open(path: PathBuf, pid: Option<u32>) -> Result<Self, NetNsError> {
        let file = File::open(&path).map_err(|cause| match (cause.kind(), pid) {
            (io::ErrorKind::NotFound, Some(pid)) => NetNsError::NoProcess(pid),
            (io::ErrorKind::NotFound, None) => NetNsError::NoPath(path.clone()),
            _ => NetNsError::Refused { path: path.clone(), cause },
        })?;
        // NSFS gives its inodes 32-bit numbers; one that does not fit is not of NSFS.
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
    // SAFETY: the descriptor is open, and this request of NSFS takes no argument.
    let kind = unsafe { libc::ioctl(file.as_raw_fd(), libc::NS_GET_NSTYPE) };
    kind == libc::CLONE_NEWNET
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_found_by_pid_and_by_path() {
        let own = NetNs::own().unwrap();
        let by_pid = NetNs::resolve(&std::process::id().to_string()).unwrap();
        let by_path = NetNs::resolve(OWN).unwrap();
        assert_eq!(own.inode(), by_pid.inode());
        assert_eq!(own.inode(), by_path.inode());
    }

    #[test]
    fn the_own_namespace_is_among_all_and_each_is_there_once() {
        let mut inodes: Vec<_> = NetNs::all().iter().map(NetNs::inode).collect();
        assert!(inodes.contains(&NetNs::own().unwrap().inode()));
        let found = inodes.len();
        inodes.sort_unstable();
        inodes.dedup();
        assert_eq!(inodes.len(), found);
    }

    #[test]
    fn what_is_no_namespace_is_refused_with_the_reason() {
        let error = |name| NetNs::resolve(name).unwrap_err().to_string();
        assert_eq!(error("4194999"), "no process has the pid 4194999");
        assert!(error("/nonexistent/ns").contains("no such network namespace"));
        assert_eq!(error("/proc/self/stat"), "/proc/self/stat: not a network namespace");
        assert_eq!(error("/proc/self/ns/uts"), "/proc/self/ns/uts: not a network namespace");
    }

    #[test]
    fn code_for_the_own_namespace_runs_in_the_calling_thread() {
        let here = thread::current().id();
        assert_eq!(NetNs::own().unwrap().run(|| thread::current().id()).unwrap(), here);
    }
}
