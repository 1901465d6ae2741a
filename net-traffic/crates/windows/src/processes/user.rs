//! Reads the user of a process.

use std::collections::HashMap;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    GetLengthSid, GetTokenInformation, LookupAccountSidW, PSID, TOKEN_QUERY, TOKEN_USER, TokenUser,
};
use windows_sys::Win32::System::Threading::OpenProcessToken;

use super::Handle;
use crate::{narrow, size};

/// `TOKEN_USER` and its SID.
type Buffer = [u64; 16];

/// User names by SID. The cache avoids repeated look-ups, which may query a domain controller.
#[derive(Debug, Default)]
pub(super) struct Users {
    known: HashMap<Vec<u8>, Option<String>>,
}

impl Users {
    /// The user name; `None` if the token cannot be read.
    pub(super) fn of(&mut self, process: &Handle) -> Option<String> {
        let mut token: HANDLE = std::ptr::null_mut();
        // SAFETY: the process handle is open; `token` is writable.
        if unsafe { OpenProcessToken(process.raw(), TOKEN_QUERY, &raw mut token) } == 0 {
            return None;
        }
        // SAFETY: the handle was opened here.
        let token = unsafe { Handle::new(token) };
        // The array is aligned for TOKEN_USER. The SID follows it and has at most SECURITY_MAX_SID_SIZE (68) octets.
        let mut buffer = Buffer::default();
        let mut length = 0;
        let size = size::<Buffer>();
        // SAFETY: the buffer is writable and has `size` octets.
        let done = unsafe {
            GetTokenInformation(token.raw(), TokenUser, buffer.as_mut_ptr().cast(), size, &raw mut length)
        };
        if done == 0 {
            return None;
        }
        // SAFETY: the call has written a TOKEN_USER at the start of the buffer.
        let user = unsafe { buffer.as_ptr().cast::<TOKEN_USER>().read() };
        let sid = user.User.Sid;
        // SAFETY: the SID lies within the buffer, and GetLengthSid returns its length.
        let octets = unsafe { std::slice::from_raw_parts(sid.cast::<u8>(), GetLengthSid(sid) as usize) };
        if let Some(known) = self.known.get(octets) {
            return known.clone();
        }
        let name = look_up(sid);
        self.known.insert(octets.to_vec(), name.clone());
        name
    }
}

/// The account name without the domain: what `whoami` prints after the backslash.
fn look_up(sid: PSID) -> Option<String> {
    let (mut name, mut domain) = ([0_u16; 260], [0_u16; 260]);
    let (mut name_length, mut domain_length) = (260, 260);
    let mut kind = 0;
    // SAFETY: both buffers have as many units as their lengths say; a null system name is this machine.
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
