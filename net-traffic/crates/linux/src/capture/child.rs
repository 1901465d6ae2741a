//! The command whose packets are captured.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use nix::sys::signal::SigSet;

/// Starts it. What this process keeps signals from does not concern it.
pub(super) fn start(command: &[OsString]) -> io::Result<Child> {
    let Some((program, arguments)) = command.split_first() else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let mut command = Command::new(program);
    command.args(arguments);
    // SAFETY: between fork and exec only one system call is made.
    unsafe { command.pre_exec(|| Ok(SigSet::all().thread_unblock()?)) };
    command.spawn()
}
