//! What this process may do, and whether this is Windows at all.

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{GetTokenInformation, TOKEN_ELEVATION, TOKEN_QUERY, TokenElevation};
use windows_sys::Win32::System::LibraryLoader::{GetModuleHandleW, GetProcAddress};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};

use super::processes::Handle;
use super::{size, wide};

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

/// Wine has some functions by name only: a call of one of them ends the process.
pub(super) fn is_wine() -> bool {
    let library = wide("ntdll.dll");
    // SAFETY: the name has an end; the library is in every process and stays.
    let library = unsafe { GetModuleHandleW(library.as_ptr()) };
    // SAFETY: the library is loaded; the name has an end.
    !library.is_null() && unsafe { GetProcAddress(library, c"wine_get_version".as_ptr().cast()) }.is_some()
}
