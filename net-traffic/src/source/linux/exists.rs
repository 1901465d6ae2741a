//! Whether what the user names is there.

use std::path::Path;

/// Whether an interface of this name is in the caller's network namespace; `None` if that cannot be told.
#[must_use]
pub fn interface(name: &str) -> Option<bool> {
    let all = Path::new("/sys/class/net");
    // A name with a slash would lead out of the directory.
    all.is_dir().then(|| {
        !name.is_empty() && !name.contains('/') && name != "." && name != ".." && all.join(name).exists()
    })
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
