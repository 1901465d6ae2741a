//! Whether what the user names is there.

use windows_sys::Win32::Foundation::{ERROR_INVALID_PARAMETER, GetLastError};
use windows_sys::Win32::System::Threading::{GetProcessId, OpenProcess, PROCESS_QUERY_LIMITED_INFORMATION};

use super::interfaces;
use super::processes::Handle;

/// Whether there is an interface of this name; `None` if that cannot be told.
#[must_use]
pub fn interface(name: &str) -> Option<bool> {
    let interfaces = interfaces::read().ok()?;
    Some(interfaces.iter().any(|interface| interface.name == name))
}

/// Whether a process of this id runs; `None` if that cannot be told.
#[must_use]
pub fn process(pid: u32) -> Option<bool> {
    // SAFETY: takes numbers; the handle is not inherited.
    let raw = unsafe { OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, 0, pid) };
    if raw.is_null() {
        // SAFETY: takes nothing.
        let code = unsafe { GetLastError() };
        // One that may not be looked at is there.
        return Some(code != ERROR_INVALID_PARAMETER);
    }
    // SAFETY: it was opened here.
    let handle = unsafe { Handle::new(raw) };
    // SAFETY: the handle is open. The system rounds an id that no process has down to one that a process may have.
    let is_it = unsafe { GetProcessId(handle.raw()) } == pid;
    // The object of a process that has ended may be kept by others.
    Some(is_it && !handle.has_ended())
}

#[cfg(test)]
mod tests {
    #[test]
    fn tells_this_process_from_none() {
        assert_eq!(super::process(std::process::id()), Some(true));
        assert_eq!(super::process(u32::MAX), Some(false));
        for beside in 1..4 {
            assert_eq!(super::process(std::process::id() + beside), Some(false));
        }
    }

    #[test]
    fn tells_an_interface_from_none() {
        assert_eq!(super::interface("no such interface"), Some(false));
        let all = super::interfaces::read().unwrap();
        assert_eq!(super::interface(&all[0].name), Some(true));
    }
}
