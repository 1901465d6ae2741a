//! What this process may do, and what this system has.

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

/// What to do about rights that are missing.
pub(super) const AS_ADMINISTRATOR: &str =
    "run it as administrator, or join the group \"Performance Log Users\" and sign in again";

/// Whether this process has the administrator's rights now, and not merely could have them.
pub(super) fn is_elevated() -> bool {
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: the handle stands for this process; `token` is writable.
    if unsafe { OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token) } == 0 {
        return false;
    }
    // SAFETY: it was opened here and is closed once.
    let token = unsafe { Handle::new(token) };
    let mut elevation = TOKEN_ELEVATION::default();
    let mut length = 0;
    let size = size::<TOKEN_ELEVATION>();
    // SAFETY: the structure is writable and as large as said.
    let done = unsafe {
        GetTokenInformation(token.raw(), TokenElevation, (&raw mut elevation).cast(), size, &raw mut length)
    };
    done != 0 && elevation.TokenIsElevated != 0
}

/// Whether this process is of those that may trace: an administrator, a member of the group for it, or a service.
pub(super) fn may_trace() -> bool {
    let kinds = [WinBuiltinPerfLoggingUsersSid, WinLocalSystemSid, WinLocalServiceSid, WinNetworkServiceSid];
    is_elevated() || kinds.into_iter().any(is_of)
}

/// Whether this process has the rights of a group, or user, that every system has.
fn is_of(kind: WELL_KNOWN_SID_TYPE) -> bool {
    // Aligned as the identifier wants it; it has 68 octets at most.
    let mut sid = [0_u64; 9];
    let mut length = size::<[u64; 9]>();
    let raw: PSID = sid.as_mut_ptr().cast();
    // SAFETY: the buffer is writable and as large as said; there is no domain.
    if unsafe { CreateWellKnownSid(kind, std::ptr::null_mut(), raw, &raw mut length) } == 0 {
        return false;
    }
    let mut is_member = 0;
    // SAFETY: the identifier was filled in; without a token it is this thread's rights that count.
    let done = unsafe { CheckTokenMembership(std::ptr::null_mut(), raw, &raw mut is_member) };
    done != 0 && is_member != 0
}

/// Whether a library that is loaded has a function of this name: not every system has all.
pub(super) fn has(library: &CStr, function: &CStr) -> bool {
    // SAFETY: the name has an end; a library that is there stays, since this program is linked to it.
    let library = unsafe { GetModuleHandleA(library.as_ptr().cast()) };
    // SAFETY: the library is loaded; the name has an end.
    !library.is_null() && unsafe { GetProcAddress(library, function.as_ptr().cast()) }.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_is_of_everybody_and_nobody_of_nobody() {
        use windows_sys::Win32::Security::{WinNullSid, WinWorldSid};
        assert!(is_of(WinWorldSid));
        assert!(!is_of(WinNullSid));
    }

    #[test]
    fn a_function_is_there_or_not() {
        assert!(has(c"iphlpapi.dll", c"GetExtendedTcpTable"));
        assert!(!has(c"iphlpapi.dll", c"GetNoSuchTable"));
        assert!(!has(c"no-such-library.dll", c"GetExtendedTcpTable"));
    }
}
