//! Standard output and standard error lead elsewhere for a while.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::windows::io::{AsHandle, AsRawHandle, OwnedHandle};

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::System::Console::{STD_ERROR_HANDLE, STD_HANDLE, STD_OUTPUT_HANDLE, SetStdHandle};

/// As they were before; they are so again when this is dropped. The library asks for its output's handle each time.
pub(crate) struct Redirected {
    out: OwnedHandle,
    err: OwnedHandle,
    raw: [HANDLE; 2],
    /// Open as long as anybody may write there.
    pipes: [PipeWriter; 2],
}

// SAFETY: the two handles are this process's standard ones, which are open for all its threads until it ends.
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
        lead(STD_OUTPUT_HANDLE, to_out.as_raw_handle())?;
        lead(STD_ERROR_HANDLE, to_err.as_raw_handle())?;
        Ok(redirected)
    }

    /// Where they led before.
    pub(crate) fn originals(&self) -> io::Result<(File, File)> {
        Ok((self.out.try_clone()?.into(), self.err.try_clone()?.into()))
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        let [out, err] = self.raw;
        // Nobody could be told.
        drop(lead(STD_OUTPUT_HANDLE, out));
        drop(lead(STD_ERROR_HANDLE, err));
    }
}

fn lead(which: STD_HANDLE, to: HANDLE) -> io::Result<()> {
    // SAFETY: the handle is open, and stays so until another one is set.
    if unsafe { SetStdHandle(which, to) } == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
