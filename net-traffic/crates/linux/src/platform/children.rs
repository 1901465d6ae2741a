//! Runs a command and waits until it and everything that it started has ended.
//!
//! This process becomes the reaper of its descendants: one that outlives its parent becomes our child, so that the
//! end of all is the end of our children, and needs no program in the kernel to be seen.

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
    /// The signals that were held back when we came.
    before: SigSet,
    command: Option<Pid>,
    status: Option<u8>,
}

/// What ends a program that does not handle it, and is for the command to handle.
const PASSED_ON: &[Signal] =
    &[Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

impl Children {
    /// Becomes the reaper, and holds back the signals that are the command's. To be called before there are threads:
    /// each would have to hold them back for itself.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn adopt() -> io::Result<Self> {
        set_child_subreaper(true)?;
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGCHLD);
        for signal in PASSED_ON {
            signals.add(*signal);
        }
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let signals = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { signals, before, command: None, status: None })
    }

    /// Starts the command, with our own standard input and output, and the signals held back that were before us.
    ///
    /// # Errors
    /// When it cannot be started; then nothing was.
    pub fn start(&mut self, command: &[OsString]) -> Result<(), StartError> {
        let name = command.first().cloned().unwrap_or_default();
        let mut child = Command::new(&name);
        child.args(command.get(1..).unwrap_or_default());
        let before = self.before;
        // SAFETY: between fork and exec it makes one system call and touches no memory but its own.
        unsafe { child.pre_exec(move || Ok(before.thread_set_mask()?)) };
        let child = child.spawn().map_err(|cause| StartError::Refused { command: name, cause })?;
        self.command = Some(Pid::from_raw(child.id().cast_signed()));
        Ok(())
    }

    /// Waits, passing signals on, until something changes that is worth to be told, or for so long.
    ///
    /// # Errors
    /// When the kernel refuses to let us wait.
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
            if self.deliver()? && self.status.is_some() {
                return Ok(Progress::Abandoned);
            }
        }
    }

    /// The status of the command, once it has ended, as shells give it: 128+N if signal N ended it.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// Takes note of all children that have ended.
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

    /// Passes signals on to the command; whether one came that would have ended us.
    ///
    /// What the terminal sends, it sends to the command as well.
    fn deliver(&mut self) -> io::Result<bool> {
        let mut asked = false;
        while let Some(info) = self.signals.read_signal()? {
            let Some(signal) = passed_on(&info) else { continue };
            asked = true;
            if let (Some(command), None, true) = (self.command, self.status, was_sent_to_us(&info)) {
                match kill(command, signal) {
                    // It may have ended this very moment.
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

fn passed_on(info: &siginfo) -> Option<Signal> {
    PASSED_ON.iter().copied().find(|signal| info.ssi_signo == (*signal as i32).cast_unsigned())
}

/// By `kill` and its like, and not by the terminal to all processes of its foreground.
fn was_sent_to_us(info: &siginfo) -> bool {
    info.ssi_code <= 0
}

fn status(ended: WaitStatus) -> Option<u8> {
    match ended {
        WaitStatus::Exited(_, code) => u8::try_from(code & 0xff).ok(),
        WaitStatus::Signaled(_, signal, _) => u8::try_from(128 + signal as i32).ok(),
        _ => None,
    }
}
