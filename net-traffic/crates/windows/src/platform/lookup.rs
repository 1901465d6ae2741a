//! Tests whether an interface or a process that a user names exists.

use windows_sys::Win32::System::Threading::GetProcessId;

use crate::interfaces;
use crate::processes::{Handle, listing};

/// Whether an interface of this name exists; `None` if the query fails.
#[must_use]
pub fn interface(name: &str) -> Option<bool> {
    let interfaces = interfaces::read().ok()?;
    Some(interfaces.iter().any(|interface| interface.name == name))
}

/// Whether a process with this PID runs; `None` if the query fails.
#[must_use]
pub fn process(pid: u32) -> Option<bool> {
    let Some(process) = Handle::of_process(pid) else {
        // OpenProcess fails for protected processes, too. The process list has them.
        return Some(listing::read().contains_key(&pid));
    };
    // SAFETY: the handle is open. OpenProcess ignores the lowest two bits of a PID, so that the PID is compared.
    let is_it = unsafe { GetProcessId(process.raw()) } == pid;
    // Any open handle keeps the object of an ended process.
    Some(is_it && !process.has_ended())
}

#[cfg(test)]
mod tests {
    use super::Handle;
    use crate::test_process;

    #[test]
    fn own_process_exists_and_invalid_pid_does_not() {
        assert_eq!(super::process(std::process::id()), Some(true));
        assert_eq!(super::process(u32::MAX), Some(false));
        for offset in 1..4 {
            assert_eq!(super::process(std::process::id() + offset), Some(false));
        }
    }

    #[test]
    fn process_ended_with_still_active_does_not_exist() {
        let mut command = std::process::Command::new("cmd");
        let mut child = test_process::spawn(command.args(["/c", "exit 259"]));
        let held = Handle::of_process(child.id()).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(259));
        assert!(held.has_ended());
        assert_eq!(super::process(child.id()), Some(false));
    }

    #[test]
    fn listed_interface_exists_and_unknown_name_does_not() {
        assert_eq!(super::interface("no such interface"), Some(false));
        let all = super::interfaces::read().unwrap();
        assert_eq!(super::interface(&all[0].name), Some(true));
    }
}
