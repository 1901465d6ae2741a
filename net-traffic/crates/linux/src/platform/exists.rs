//! Whether what the user names is there.

use std::path::Path;

use nix::errno::Errno;

/// Whether an interface of this name is in the caller's network namespace; `None` if that cannot be told.
#[must_use]
pub fn interface(name: &str) -> Option<bool> {
    // Not by /sys, which may be mounted in another namespace.
    match nix::net::if_::if_nametoindex(name) {
        Ok(_) => Some(true),
        Err(Errno::ENODEV | Errno::ENXIO | Errno::ENAMETOOLONG | Errno::EINVAL) => Some(false),
        Err(_) => None,
    }
}

/// Whether a process of this id runs; `None` if that cannot be told.
#[must_use]
pub fn process(pid: u32) -> Option<bool> {
    let all = Path::new("/proc");
    all.join("self").exists().then(|| all.join(pid.to_string()).is_dir())
}

#[cfg(test)]
mod tests {
    #[test]
    fn tells_this_process_from_none() {
        assert_eq!(super::process(std::process::id()), Some(true));
        assert_eq!(super::process(u32::MAX), Some(false));
    }

    #[test]
    fn leads_out_of_no_directory() {
        for name in ["", ".", "..", "../net", "no-such-interface"] {
            assert_ne!(super::interface(name), Some(true), "{name}");
        }
    }
}
