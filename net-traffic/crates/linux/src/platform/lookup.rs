//! Tests whether an interface or a process that a user names exists.

use std::path::Path;

use nix::errno::Errno;

/// Whether the caller's network namespace has an interface of this name; `None` if the query fails.
#[must_use]
pub fn interface(name: &str) -> Option<bool> {
    // /sys may be mounted in another network namespace, so that an ioctl is used instead.
    match nix::net::if_::if_nametoindex(name) {
        Ok(_) => Some(true),
        Err(Errno::ENODEV | Errno::ENXIO | Errno::ENAMETOOLONG | Errno::EINVAL) => Some(false),
        Err(_) => None,
    }
}

/// Whether a process has this PID; `None` if /proc is not mounted.
#[must_use]
pub fn process(pid: u32) -> Option<bool> {
    let all = Path::new("/proc");
    all.join("self").exists().then(|| all.join(pid.to_string()).is_dir())
}

#[cfg(test)]
mod tests {
    #[test]
    fn own_process_exists_and_invalid_pid_does_not() {
        assert_eq!(super::process(std::process::id()), Some(true));
        assert_eq!(super::process(u32::MAX), Some(false));
    }

    #[test]
    fn path_or_unknown_name_is_no_interface() {
        for name in ["", ".", "..", "../net", "no-such-interface"] {
            assert_ne!(super::interface(name), Some(true), "{name}");
        }
    }
}
