//! The names of all processes, from the system's list: also of those that may not be looked at.

use std::collections::HashMap;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

use super::Handle;
use crate::{narrow, size};

/// Read when first asked, at most once a snapshot.
#[derive(Debug, Default)]
pub(super) struct Listing {
    names: Option<HashMap<u32, String>>,
}

impl Listing {
    pub(super) fn forget(&mut self) {
        self.names = None;
    }

    pub(super) fn name(&mut self, pid: u32) -> Option<String> {
        self.names.get_or_insert_with(read).get(&pid).cloned()
    }
}

/// All processes that there are.
pub(crate) fn read() -> HashMap<u32, String> {
    let mut names = HashMap::new();
    // SAFETY: takes numbers.
    let raw = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if raw == INVALID_HANDLE_VALUE {
        return names;
    }
    // SAFETY: it was opened here.
    let list = unsafe { Handle::new(raw) };
    let mut entry = PROCESSENTRY32W { dwSize: size::<PROCESSENTRY32W>(), ..PROCESSENTRY32W::default() };
    // SAFETY: the structure is writable and says how large it is.
    let mut more = unsafe { Process32FirstW(list.raw(), &raw mut entry) };
    while more != 0 {
        names.insert(entry.th32ProcessID, narrow(&entry.szExeFile));
        // SAFETY: as before.
        more = unsafe { Process32NextW(list.raw(), &raw mut entry) };
    }
    names
}
