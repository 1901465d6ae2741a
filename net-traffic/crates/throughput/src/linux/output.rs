//! Standard output and standard error lead elsewhere for a while.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::{dup2_stderr, dup2_stdout};

/// As they were before; they are so again when this is dropped.
pub(crate) struct Redirected {
    out: OwnedFd,
    err: OwnedFd,
}

impl Redirected {
    pub(crate) fn begin(to_out: PipeWriter, to_err: PipeWriter) -> io::Result<Self> {
        let out = io::stdout().as_fd().try_clone_to_owned()?;
        let err = io::stderr().as_fd().try_clone_to_owned()?;
        let redirected = Self { out, err };
        dup2_stdout(to_out)?;
        dup2_stderr(to_err)?;
        Ok(redirected)
    }

    /// Where they led before.
    pub(crate) fn originals(&self) -> io::Result<(File, File)> {
        Ok((self.out.try_clone()?.into(), self.err.try_clone()?.into()))
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        // The descriptors are open and to be replaced: neither call can fail, and nobody could be told.
        dup2_stdout(&self.out).unwrap_or_default();
        dup2_stderr(&self.err).unwrap_or_default();
    }
}
