//! Whether what the user names is there.

use windows_sys::Win32::System::Threading::GetProcessId;

use super::interfaces;
use super::processes::{Handle, listing};

/// Whether there is an interface of this name; `None` if that cannot be told.
#[must_use]
pub fn interface(name: &str) -> Option<bool> {
    let interfaces = interfaces::read().ok()?;
    Some(interfaces.iter().any(|interface| interface.name == name))
}

/// Whether a process of this id runs; `None` if that cannot be told.
#[must_use]
pub fn process(pid: u32) -> Option<bool> {
    let Some(process) = Handle::of_process(pid) else {
        // One that may not be looked at is there all the same, and listed.
        return Some(listing::read().contains_key(&pid));
    };
    // SAFETY: the handle is open. The system rounds an id that no process has down to one that a process may have.
    let is_it = unsafe { GetProcessId(process.raw()) } == pid;
    // The object of a process that has ended may be kept by others.
    Some(is_it && !process.has_ended())
}

#[cfg(test)]
mod tests {
    use super::Handle;
    use crate::test_process;

    #[test]
    fn tells_this_process_from_none() {
        assert_eq!(super::process(std::process::id()), Some(true));
        assert_eq!(super::process(u32::MAX), Some(false));
        for beside in 1..4 {
            assert_eq!(super::process(std::process::id() + beside), Some(false));
        }
    }

    #[test]
    fn a_process_that_ended_with_the_code_of_one_that_runs_does_not_exist() {
        let mut command = std::process::Command::new("cmd");
        let mut child = test_process::spawn(command.args(["/c", "exit 259"]));
        let held = Handle::of_process(child.id()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(259));
        assert!(held.has_ended());
        assert_eq!(super::process(child.id()), Some(false));
    }

    #[test]
    fn tells_an_interface_from_none() {
        assert_eq!(super::interface("no such interface"), Some(false));
        let all = super::interfaces::read().unwrap();
        assert_eq!(super::interface(&all[0].name), Some(true));
    }
}
