//! Redirects standard output and standard error.

use std::fs::File;
use std::io::{self, PipeWriter};
use std::os::fd::{AsFd, OwnedFd};

use nix::unistd::{dup2_stderr, dup2_stdout};

/// The original standard output and standard error. `drop` restores them.
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

    /// The original streams.
    pub(crate) fn originals(&self) -> io::Result<(File, File)> {
        Ok((self.out.try_clone()?.into(), self.err.try_clone()?.into()))
    }
}

impl Drop for Redirected {
    fn drop(&mut self) {
        // dup2(2) with open descriptors does not fail.
        dup2_stdout(&self.out).unwrap_or_default();
        dup2_stderr(&self.err).unwrap_or_default();
    }
}
