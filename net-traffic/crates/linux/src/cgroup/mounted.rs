//! Finds the mount points of cgroup hierarchies. Without a mount of cgroup v2 this process makes a detached one: the
//! new /sys of `ip netns exec` has no hierarchies.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::OnceLock;

/// The root of cgroup v2.
#[must_use]
pub(crate) fn version_2() -> Option<PathBuf> {
    find("cgroup2", None).or_else(|| {
        // The mount ends with its only descriptor, at the end of the process.
        static DETACHED: OnceLock<Option<OwnedFd>> = OnceLock::new();
        let root = DETACHED.get_or_init(|| detached().ok()).as_ref()?;
        Some(PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd())))
    })
}

/// The root of the cgroup v1 hierarchy of a controller.
#[must_use]
pub(super) fn version_1(controller: &str) -> Option<PathBuf> {
    find("cgroup", Some(controller))
}

fn find(kind: &str, controller: Option<&str>) -> Option<PathBuf> {
    mount(&fs::read_to_string("/proc/self/mounts").ok()?, kind, controller)
}

/// The mount point of a hierarchy, from the text of /proc/self/mounts.
fn mount(mounts: &str, kind: &str, controller: Option<&str>) -> Option<PathBuf> {
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ');
        let (_device, path, found, options) =
            (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
        let bound = controller.is_none_or(|wanted| options.split(',').any(|option| option == wanted));
        (found == kind && bound).then(|| PathBuf::from(path))
    })
}

/// Mounts cgroup v2 read-only, without a mount point (<https://man7.org/linux/man-pages/man2/fsmount.2.html>).
fn detached() -> io::Result<OwnedFd> {
    const NOTHING: *const libc::c_char = std::ptr::null();
    // SAFETY: the name is a NUL-terminated string that outlives the call.
    let context =
        descriptor(unsafe { libc::syscall(libc::SYS_fsopen, c"cgroup2".as_ptr(), libc::FSOPEN_CLOEXEC) })?;
    let create = libc::FSCONFIG_CMD_CREATE;
    // SAFETY: this command takes neither key nor value.
    let created =
        unsafe { libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), create, NOTHING, NOTHING, 0) };
    if created < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the arguments are a descriptor and flags.
    descriptor(unsafe {
        libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), libc::FSMOUNT_CLOEXEC, libc::MOUNT_ATTR_RDONLY)
    })
}

/// Takes ownership of the descriptor that a system call returned.
fn descriptor(result: libc::c_long) -> io::Result<OwnedFd> {
    match i32::try_from(result) {
        // SAFETY: the callers pass the result of a call that opens a descriptor, so that there is no other owner.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_point_of_controller_is_found() {
        let mounts = "tmpfs /sys/fs/cgroup tmpfs rw 0 0\n\
            cgroup /sys/fs/cgroup/cpu cgroup rw,relatime,cpu,cpuacct 0 0\n\
            cgroup /sys/fs/cgroup/pids cgroup rw,relatime,pids 0 0\n\
            cgroup2 /sys/fs/cgroup/unified cgroup2 rw 0 0\n";
        let at = |kind, controller| mount(mounts, kind, controller);
        assert_eq!(at("cgroup", Some("pids")), Some(PathBuf::from("/sys/fs/cgroup/pids")));
        assert_eq!(at("cgroup2", None), Some(PathBuf::from("/sys/fs/cgroup/unified")));
        assert_eq!(at("cgroup", Some("memory")), None);
    }
}
