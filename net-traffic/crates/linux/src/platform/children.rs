//! Runs a command, and waits until the command and its descendants have ended.
//!
//! This process becomes a subreaper (<https://man7.org/linux/man-pages/man2/PR_SET_CHILD_SUBREAPER.2const.html>): an
//! orphaned descendant becomes a child of this process. So `waitpid(2)` reports the end of every descendant.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_child_subreaper;
use nix::sys::signal::{SigSet, SigmaskHow, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd, siginfo};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::host;
use net_traffic_snapshot::{Progress, StartError};

/// A command and its descendants.
#[derive(Debug)]
pub struct Children {
    signals: SignalFd,
    /// The signal mask before the first change.
    before: SigSet,
    command: Option<Pid>,
    status: Option<u8>,
}

/// The signals that are forwarded to the command. Each one ends a program without a handler.
const FORWARDED: &[Signal] =
    &[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

impl Children {
    /// Becomes a subreaper, and blocks the signals that are forwarded. The caller must have no threads yet: a new thread
    /// inherits the signal mask.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn adopt() -> io::Result<Self> {
        set_child_subreaper(true)?;
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGCHLD);
        for signal in FORWARDED {
            signals.add(*signal);
        }
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { signals, before, command: None, status: None })
    }

    /// Starts the command with this process's standard streams and the original signal mask.
    ///
    /// # Errors
    /// When the command cannot be started.
    pub fn start(&mut self, command: &[OsString]) -> Result<(), StartError> {
        let name = command.first().cloned().unwrap_or_default();
        let mut child = Command::new(&name);
        child.args(command.get(1..).unwrap_or_default());
        let before = self.before;
        // SAFETY: between fork and exec the closure makes one system call and accesses only its own memory.
        unsafe { child.pre_exec(move || Ok(before.thread_set_mask()?)) };
        let child = child.spawn().map_err(|cause| StartError::Refused { command: name, cause })?;
        self.command = Some(Pid::from_raw(child.id().cast_signed()));
        Ok(())
    }

    /// Waits until the progress changes, and no longer than `at_most`. Forwards signals meanwhile.
    ///
    /// # Errors
    /// When `poll(2)`, `waitpid(2)` or `kill(2)` fails.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<Progress> {
        let until = host::now().monotonic_ns.saturating_add(nanoseconds(at_most));
        loop {
            let before = self.status;
            let progress = self.reap()?;
            let left = Duration::from_nanos(until.saturating_sub(host::now().monotonic_ns));
            if progress == Progress::Over || before != self.status || left.is_zero() {
                return Ok(progress);
            }
            let mut ready = [PollFd::new(self.signals.as_fd(), PollFlags::POLLIN)];
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut ready, timeout) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(refusal) => return Err(refusal.into()),
            }
            if self.forward_signals()? && self.status.is_some() {
                return Ok(Progress::Abandoned);
            }
        }
    }

    /// The status of the ended command, as a shell reports it: 128+N for signal N.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// Reaps the children that have ended.
    fn reap(&mut self) -> io::Result<Progress> {
        loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {
                    return Ok(if self.status.is_some() { Progress::Outlived } else { Progress::Running });
                }
                Ok(ended) if ended.pid() == self.command => self.status = status(ended).or(self.status),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(Errno::ECHILD) => return Ok(Progress::Over),
                Err(refusal) => return Err(refusal.into()),
            }
        }
    }

    /// Forwards pending signals to the command. True if one of them asks this process to end.
    ///
    /// A signal of the terminal is not forwarded: the terminal sends its signals to the command, too.
    fn forward_signals(&mut self) -> io::Result<bool> {
        let mut asked = false;
        while let Some(info) = self.signals.read_signal()? {
            let Some(signal) = forwarded(&info) else { continue };
            asked = true;
            if let (Some(command), None, true) = (self.command, self.status, was_sent_by_process(&info)) {
                match kill(command, signal) {
                    // ESRCH: the command has just ended.
                    Ok(()) | Err(Errno::ESRCH) => {}
                    Err(refusal) => return Err(refusal.into()),
                }
            }
        }
        Ok(asked)
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn forwarded(info: &siginfo) -> Option<Signal> {
    FORWARDED.iter().copied().find(|signal| info.ssi_signo == (*signal as i32).cast_unsigned())
}

/// Whether a process sent the signal (`SI_FROMUSER`), and not the kernel for the terminal
/// (<https://github.com/gregkh/linux/blob/v6.12.117/include/uapi/asm-generic/siginfo.h#L185>).
fn was_sent_by_process(info: &siginfo) -> bool {
    info.ssi_code <= 0
}

fn status(ended: WaitStatus) -> Option<u8> {
    match ended {
        WaitStatus::Exited(_, code) => u8::try_from(code & 0xff).ok(),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).ok(),
        _ => None,
    }
}
