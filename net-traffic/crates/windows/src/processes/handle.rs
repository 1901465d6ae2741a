//! A handle of the system, closed when it is dropped, and what a process says through it.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{FILETIME, HANDLE, STILL_ACTIVE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_ACCESS_RIGHTS, PROCESS_NAME_WIN32,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW, WaitForSingleObject,
};

use crate::host::joined;

/// Owned.
#[derive(Debug)]
pub(crate) struct Handle(OwnedHandle);

impl Handle {
    /// # Safety
    /// It must be open, and nobody else may close it.
    pub(crate) unsafe fn new(raw: HANDLE) -> Self {
        // SAFETY: the caller's promise.
        Self(unsafe { OwnedHandle::from_raw_handle(raw) })
    }

    pub(crate) fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    /// Opens a process to look at it; `None` if it is gone, or may not be looked at.
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        // Some let themselves be looked at, and not be waited for.
        let both = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        Self::open(pid, both).or_else(|| Self::open(pid, PROCESS_QUERY_LIMITED_INFORMATION))
    }

    /// With these rights to it.
    pub(crate) fn open(pid: u32, rights: PROCESS_ACCESS_RIGHTS) -> Option<Self> {
        // SAFETY: takes numbers; the handle is not inherited.
        let raw = unsafe { OpenProcess(rights, 0, pid) };
        // SAFETY: it was opened here.
        (!raw.is_null()).then(|| unsafe { Self::new(raw) })
    }

    /// When the process was started, in steps of 100 ns since 1601.
    pub(crate) fn started(&self) -> Option<i64> {
        let none = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
        let (mut created, mut ended, mut kernel, mut user) = (none, none, none, none);
        // SAFETY: all four are writable.
        let done = unsafe {
            GetProcessTimes(self.raw(), &raw mut created, &raw mut ended, &raw mut kernel, &raw mut user)
        };
        if done == 0 { None } else { i64::try_from(joined(created)).ok() }
    }

    pub(crate) fn has_ended(&self) -> bool {
        let mut code = 0;
        // SAFETY: `code` is writable.
        let done = unsafe { GetExitCodeProcess(self.raw(), &raw mut code) };
        if done == 0 || code.cast_signed() != STILL_ACTIVE {
            return done != 0;
        }
        // A process may end with the very code that stands for one that has not.
        // SAFETY: the handle is open, and nobody waits for long.
        unsafe { WaitForSingleObject(self.raw(), 0) == WAIT_OBJECT_0 }
    }

    /// The path of the program that it runs.
    pub(super) fn image(&self) -> Option<String> {
        let mut path = [0_u16; 1024];
        let mut length = 1024;
        // SAFETY: the buffer has as many units as `length` says.
        let done = unsafe {
            QueryFullProcessImageNameW(self.raw(), PROCESS_NAME_WIN32, path.as_mut_ptr(), &raw mut length)
        };
        let path = path.get(..length as usize)?;
        (done != 0).then(|| String::from_utf16_lossy(path))
    }
}
