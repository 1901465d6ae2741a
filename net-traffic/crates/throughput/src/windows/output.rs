//! Redirects standard output and standard error.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::{STD_ERROR_HANDLE, STD_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle};

/// The original handles, which drop restores. Rust's standard library calls `GetStdHandle` for each write.
pub(crate) struct Redirected {
    out: OwnedHandle,
    err: OwnedHandle,
    raw: [HANDLE; 2],
    /// Open while they are the standard handles.
    pipes: [PipeWriter; 2],
}

// SAFETY: the two raw handles are the standard handles of this process, which all threads may use until its end.
unsafe impl Send for Redirected {}

impl Redirected {
    pub(crate) fn begin(to_out: PipeWriter, to_err: PipeWriter) -> io::Result<Self> {
        let redirected = Self {
            out: io::stdout().as_handle().try_clone_to_owned()?,
            err: io::stderr().as_handle().try_clone_to_owned()?,
            raw: [io::stdout().as_raw_handle(), io::stderr().as_raw_handle()],
            pipes: [to_out, to_err],
        };
        let [to_out, to_err] = &redirected.pipes;
        redirect(STD_OUTPUT_HANDLE, to_out.as_raw_handle())?;
        redirect(STD_ERROR_HANDLE, to_err.as_raw_handle())?;
        Ok(redirected)
    }

    /// The original streams.
    pub(crate) fn originals(&self) -> io::Result<(File, File)> {
        Ok((self.out.try_clone()?.into(), self.err.try_clone()?.into()))
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        let [out, err] = self.raw;
        // A failure cannot be reported here.
        drop(redirect(STD_OUTPUT_HANDLE, out));
        drop(redirect(STD_ERROR_HANDLE, err));
    }
}

fn redirect(which: STD_HANDLE, to: HANDLE) -> io::Result<()> {
    // SAFETY: the handle is open, and stays open until another one is set.
    if unsafe { SetStdHandle(which, to) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
