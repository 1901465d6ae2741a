//! The user that a process runs as.

use std::collections::HashMap;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    GetLengthSid, GetTokenInformation, LookupAccountSidW, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

use super::Handle;
use crate::{narrow, size};

/// Room for the structure and its identifier.
type Buffer = [u64; 16];

/// Names of users, by the octets of their security identifiers. To look one up may ask another machine.
#[derive(Debug, Default)]
pub(super) struct Users {
    known: HashMap<Vec<u8>, Option<String>>,
}

impl Users {
    /// `None` if this process may not know.
    pub(super) fn of(&mut self, process: &Handle) -> Option<String> {
        let mut token: HANDLE = std::ptr::null_mut();
        // SAFETY: the process is open; `token` is writable.
        if unsafe { OpenProcessToken(process.raw(), TOKEN_QUERY, &raw mut token) } == 0 {
            return None;
        }
        // SAFETY: it was opened here.
        let token = unsafe { Handle::new(token) };
        // Aligned for the structure at its beginning; the identifier follows it, and has 68 octets at most.
        let mut buffer = Buffer::default();
        let mut length = 0;
        let size = size::<Buffer>();
        // SAFETY: the buffer is writable and as large as said.
        let done = unsafe {
            GetTokenInformation(token.raw(), TokenUser, buffer.as_mut_ptr().cast(), size, &raw mut length)
        };
        if done == 0 {
            return None;
        }
        // SAFETY: the system filled it in with this structure.
        let user = unsafe { buffer.as_ptr().cast::<TOKEN_USER>().read() };
        let sid = user.User.Sid;
        // SAFETY: the identifier lies within the buffer, and says how long it is.
        let octets = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
        if let Some(known) = self.known.get(octets) {
            return known.clone();
        }
        let name = look_up(sid);
        self.known.insert(octets.to_vec(), name.clone());
        name
    }
}

/// Without the domain, as `whoami` has it after the backslash.
fn look_up(sid: PSID) -> Option<String> {
    let (mut name, mut domain) = ([0_u16; 260], [0_u16; 260]);
    let (mut name_length, mut domain_length) = (260, 260);
    let mut kind = 0;
    // SAFETY: both buffers have as many units as their lengths say; no name is that of this machine.
    let done = unsafe {
        LookupAccountSidW(
            std::ptr::null(),
            sid,
            name.as_mut_ptr(),
            &raw mut name_length,
            domain.as_mut_ptr(),
            &raw mut domain_length,
            &raw mut kind,
        )
    };
    (done != 0).then(|| narrow(&name))
}
