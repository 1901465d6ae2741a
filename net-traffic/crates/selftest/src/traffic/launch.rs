//! The entry point of a worker process, which is the running program started a second time.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::process::ExitCode;

use nix::sys::socket::{getsockopt, sockopt};
use nix::unistd::{Pid, getppid};

use super::case::Case;
use super::channel::Channel;
use super::error::{Attempt, TrafficError};
use super::worker::Worker;

/// The first argument of a worker. The name of the case and the role follow.
pub(super) const WORKER: &str = "selftest-worker";

/// Plays one role of a case if this process is a worker, and returns the exit status.
///
/// Every program that uses a [`CaseRun`](super::CaseRun) calls it first in `main`, before it starts a thread. A
/// process that a [`CaseRun`](super::CaseRun) did not start gets `None`, also with a worker's arguments: its user
/// finds no such command.
#[must_use]
pub fn run_worker_if_requested(cases: impl IntoIterator<Item = &'static Case>) -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORKER || !parent_is_this_program() {
        return None;
    }
    let (name, role) = (arguments.next()?, arguments.next()?);
    let case = cases.into_iter().find(|case| name == case.name);
    let played = case.ok_or_else(|| TrafficError::Unexpected(format!("no case {}", name.display())));
    let role = if role == "client" { "client" } else { "server" };
    // The worker has sent the error to its parent already.
    Some(if played.and_then(|case| play(case, role)).is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn play(case: &Case, role: &'static str) -> Result<(), TrafficError> {
    let function = if role == "client" { case.client } else { case.server };
    // Standard input is the channel to the parent; the parent sends the channel to the other worker through it.
    let control = io::stdin().as_fd().try_clone_to_owned().attempt("duplicate standard input")?;
    let parent = Channel::from(control);
    let peer = Channel::from(parent.receive_descriptor()?);
    let mut worker = Worker::new(role.to_owned(), parent, peer)?;
    worker.perform(|worker| {
        if !case.starts_before_tracer {
            worker.wait_for_tracer()?;
        }
        function(worker)
    })
}

/// Whether standard input is one end of a socket pair of the parent, and the parent runs this executable.
///
/// `SO_PEERCRED` of a socket pair has the process that called `socketpair(2)`:
/// <https://man7.org/linux/man-pages/man7/unix.7.html>.
fn parent_is_this_program() -> bool {
    let parent = getppid();
    let peer = getsockopt(&io::stdin(), sockopt::PeerCredentials);
    peer.is_ok_and(|peer| peer.pid() == parent.as_raw()) && runs_this_executable(parent).unwrap_or(false)
}

fn runs_this_executable(process: Pid) -> io::Result<bool> {
    let (own, other) = (fs::metadata("/proc/self/exe")?, fs::metadata(format!("/proc/{process}/exe"))?);
    Ok((own.dev(), own.ino()) == (other.dev(), other.ino()))
}
