//! The names of all processes, from the process list. The list includes processes that cannot be opened.

use std::collections::HashMap;

use windows_sys::Win32::Foundation::INVALID_HANDLE_VALUE;
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, PROCESSENTRY32W, Process32FirstW, Process32NextW, TH32CS_SNAPPROCESS,
};

use super::Handle;
use crate::{narrow, size};

/// The process list: read on first use, at most once per snapshot.
#[derive(Debug, Default)]
pub(super) struct NameList {
    names: Option<HashMap<u32, String>>,
}

impl NameList {
    pub(super) fn clear(&mut self) {
        self.names = None;
    }

    pub(super) fn name(&mut self, pid: u32) -> Option<String> {
        self.names.get_or_insert_with(read).get(&pid).cloned()
    }
}

/// Names by PID; empty if the list cannot be read.
pub(crate) fn read() -> HashMap<u32, String> {
    let mut names = HashMap::new();
    // SAFETY: the arguments are numbers.
    let raw = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPPROCESS, 0) };
    if raw == INVALID_HANDLE_VALUE {
        return names;
    }
    // SAFETY: the handle was opened here.
    let list = unsafe { Handle::new(raw) };
    let mut entry = PROCESSENTRY32W { dwSize: size::<PROCESSENTRY32W>(), ..PROCESSENTRY32W::default() };
    // SAFETY: the structure is writable and `dwSize` has its size.
    let mut more = unsafe { Process32FirstW(list.raw(), &raw mut entry) };
    while more != 0 {
        names.insert(entry.th32ProcessID, narrow(&entry.szExeFile));
        // SAFETY: as before.
        more = unsafe { Process32NextW(list.raw(), &raw mut entry) };
    }
    names
}
