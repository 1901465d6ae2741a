//! An owned handle, the attributes of a process that are read through it, and the identity of a process.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::{FILETIME, HANDLE, STILL_ACTIVE, WAIT_OBJECT_0};
use windows_sys::Win32::System::Threading::{
    GetExitCodeProcess, GetProcessTimes, OpenProcess, PROCESS_ACCESS_RIGHTS, PROCESS_NAME_WIN32,
    PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_SYNCHRONIZE, QueryFullProcessImageNameW, WaitForSingleObject,
};

use crate::platform::host::joined;
use net_traffic_snapshot::ProcessId;

/// A Win32 handle that is closed on drop.
#[derive(Debug)]
pub(crate) struct Handle(OwnedHandle);

impl Handle {
    /// # Safety
    /// The handle must be open, and only this value may close it.
    pub(crate) unsafe fn new(raw: HANDLE) -> Self {
        // SAFETY: the caller guarantees it.
        Self(unsafe { OwnedHandle::from_raw_handle(raw) })
    }

    pub(crate) fn raw(&self) -> HANDLE {
        self.0.as_raw_handle()
    }

    /// Opens a process for queries; `None` if the process does not exist or access is denied.
    pub(crate) fn of_process(pid: u32) -> Option<Self> {
        // Some processes grant queries but not SYNCHRONIZE.
        let both = PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_SYNCHRONIZE;
        Self::open(pid, both).or_else(|| Self::open(pid, PROCESS_QUERY_LIMITED_INFORMATION))
    }

    /// Opens a process with these access rights.
    pub(crate) fn open(pid: u32, rights: PROCESS_ACCESS_RIGHTS) -> Option<Self> {
        // SAFETY: the arguments are numbers.
        let raw = unsafe { OpenProcess(rights, 0, pid) };
        // SAFETY: the handle was opened here.
        (!raw.is_null()).then(|| unsafe { Self::new(raw) })
    }

    /// The start time as a `FILETIME`: steps of 100 ns since 1601.
    pub(crate) fn started(&self) -> Option<i64> {
        let none = FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 };
        let (mut created, mut ended, mut kernel, mut user) = (none, none, none, none);
        // SAFETY: all four times are writable.
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
        // A process may exit with 259, the value of STILL_ACTIVE
        // (<https://learn.microsoft.com/en-us/windows/win32/api/processthreadsapi/nf-processthreadsapi-getexitcodeprocess>).
        // SAFETY: the handle is open.
        unsafe { WaitForSingleObject(self.raw(), 0) == WAIT_OBJECT_0 }
    }

    /// The path of the executable.
    pub(super) fn image(&self) -> Option<String> {
        let mut path = [0_u16; 1024];
        let mut length = 1024;
        // SAFETY: the buffer has `length` units.
        let done = unsafe {
            QueryFullProcessImageNameW(self.raw(), PROCESS_NAME_WIN32, path.as_mut_ptr(), &raw mut length)
        };
        let path = path.get(..length as usize)?;
        (done != 0).then(|| String::from_utf16_lossy(path))
    }
}

/// The identity of a process: its PID and its start time, or 0.
pub(crate) fn identity(pid: u32, started: Option<i64>) -> ProcessId {
    ProcessId { pid, start_ticks: ticks(started.unwrap_or(0)) }
}

/// Steps of 10 ms, as on Linux, modulo 2^32.
fn ticks(started: i64) -> u32 {
    const STEP: i64 = 100_000;
    u32::try_from((started / STEP).rem_euclid(1 << 32)).unwrap_or_default()
}
