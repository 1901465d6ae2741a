//! Tests the privileges of this process, and whether a DLL has a function.

use std::ffi::CStr;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    CheckTokenMembership, CreateWellKnownSid, GetTokenInformation, PSID, TOKEN_ELEVATION, TOKEN_QUERY,
    TokenElevation, WELL_KNOWN_SID_TYPE, WinBuiltinPerfLoggingUsersSid, WinLocalServiceSid,
    WinLocalSystemSid, WinNetworkServiceSid,
};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleA, GetProcAddress};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::processes::Handle;
use super::size;

/// The remedy for a missing privilege.
pub(super) const AS_ADMINISTRATOR: &str =
    "run it as administrator, or join the group \"Performance Log Users\" and sign in again";

/// Whether the token of this process is elevated
/// (<https://learn.microsoft.com/en-us/windows/win32/api/winnt/ns-winnt-token_elevation>).
pub(super) fn is_elevated() -> bool {
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: the pseudo handle of this process is valid; `token` is writable.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return false;
    }
    // SAFETY: the handle was opened here.
    let token = unsafe { Handle::new(token) };
    let mut elevation = TOKEN_ELEVATION::default();
    let mut length = 0;
    let size = size::<TOKEN_ELEVATION>();
    // SAFETY: the structure is writable and has `size` octets.
    let done = unsafe {
        GetTokenInformation(token.raw(), TokenElevation, (&raw mut elevation).cast(), size, &raw mut length)
    };
    done != 0 && elevation.TokenIsElevated != 0
}

/// Whether this process may control ETW sessions: as an administrator, a member of Performance Log Users, or a service
/// account (<https://learn.microsoft.com/en-us/windows/win32/api/evntrace/nf-evntrace-starttracew>).
pub(super) fn may_trace() -> bool {
    let kinds = [WinBuiltinPerfLoggingUsersSid, WinLocalSystemSid, WinLocalServiceSid, WinNetworkServiceSid];
    is_elevated() || kinds.into_iter().any(is_member)
}

/// Whether a well-known SID is enabled in the token of this thread.
fn is_member(kind: WELL_KNOWN_SID_TYPE) -> bool {
    // A SID has at most SECURITY_MAX_SID_SIZE (68) octets.
    let mut sid = [0_u64; 9];
    let mut length = size::<[u64; 9]>();
    let raw: PSID = sid.as_mut_ptr().cast();
    // SAFETY: the buffer is writable and has `length` octets; a null domain is this machine.
    if unsafe { CreateWellKnownSid(kind, std::ptr::null_mut(), raw, &raw mut length) } == 0 {
        return false;
    }
    let mut result = 0;
    // SAFETY: the SID is initialized; a null token stands for this thread
    // (<https://learn.microsoft.com/en-us/windows/win32/api/securitybaseapi/nf-securitybaseapi-checktokenmembership>).
    let done = unsafe { CheckTokenMembership(std::ptr::null_mut(), raw, &raw mut result) };
    done != 0 && result != 0
}

/// Whether a loaded DLL exports a function of this name.
pub(super) fn has(library: &CStr, function: &CStr) -> bool {
    // SAFETY: the name is null-terminated. This program links to the DLL, so that it stays loaded.
    let library = unsafe { GetModuleHandleA(library.as_ptr().cast()) };
    // SAFETY: the DLL is loaded; the name is null-terminated.
    !library.is_null() && unsafe { GetProcAddress(library, function.as_ptr().cast()) }.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn world_sid_is_enabled_and_null_sid_is_not() {
        use windows_sys::Win32::Security::{WinNullSid, WinWorldSid};
        assert!(is_member(WinWorldSid));
        assert!(!is_member(WinNullSid));
    }

    #[test]
    fn exported_function_is_found_and_unknown_is_not() {
        assert!(has(c"iphlpapi.dll", c"GetExtendedTcpTable"));
        assert!(!has(c"iphlpapi.dll", c"GetNoSuchTable"));
        assert!(!has(c"no-such-library.dll", c"GetExtendedTcpTable"));
    }
}
