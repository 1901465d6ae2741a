//! Runs a command and waits until it and everything that it started has ended.
//!
//! The command is put into a job before it runs: whatever it starts is in the same job, which tells who comes and
//! who goes. Its messages are the quick way, and not a sure one: it is asked as well.

mod present;

use std::collections::HashSet;
use std::ffi::OsString;
use std::io;
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::process::{Child, Command};
use std::time::Duration;

use windows_sys::Win32::Foundation::{HANDLE, INVALID_HANDLE_VALUE, WAIT_TIMEOUT};
use windows_sys::Win32::System::Diagnostics::ToolHelp::{
    CreateToolhelp32Snapshot, TH32CS_SNAPTHREAD, THREADENTRY32, Thread32First, Thread32Next,
};
use windows_sys::Win32::System::IO::{CreateIoCompletionPort, GetQueuedCompletionStatus, OVERLAPPED};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOBOBJECT_ASSOCIATE_COMPLETION_PORT,
    JobObjectAssociateCompletionPortInformation, SetInformationJobObject,
};
use windows_sys::Win32::System::SystemServices::{
    JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO, JOB_OBJECT_MSG_NEW_PROCESS,
};
use windows_sys::Win32::System::Threading::{
    CREATE_SUSPENDED, OpenThread, ResumeThread, THREAD_SUSPEND_RESUME,
};
use windows_sys::core::BOOL;

use super::console;
use super::descendants::remember;
use super::processes::Handle;
use super::size;
use net_traffic_snapshot::{Progress, StartError};

/// A command and its descendants.
#[derive(Debug)]
pub struct Children {
    job: Handle,
    port: Handle,
    command: Option<Child>,
    status: Option<u8>,
    over: bool,
    /// Who was in the job when it was asked last.
    present: HashSet<u32>,
    /// How often the user had asked for an end when the command ended.
    asked_before: u32,
}

impl Children {
    /// Makes the job.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn adopt() -> io::Result<Self> {
        console::listen()?;
        // SAFETY: a job without a name, with the usual rights.
        let job = opened(unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) })?;
        // SAFETY: a new port without a file.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, 1) };
        let port = opened(port)?;
        let association = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
            CompletionKey: std::ptr::null_mut(),
            CompletionPort: port.raw(),
        };
        let octets = size::<JOBOBJECT_ASSOCIATE_COMPLETION_PORT>();
        // SAFETY: the structure is as large as said, and is read only.
        done(unsafe {
            SetInformationJobObject(
                job.raw(),
                JobObjectAssociateCompletionPortInformation,
                (&raw const association).cast(),
                octets,
            )
        })?;
        Ok(Self {
            job,
            port,
            command: None,
            status: None,
            over: false,
            present: HashSet::new(),
            asked_before: 0,
        })
    }

    /// Starts the command with our own standard input and output.
    ///
    /// # Errors
    /// When it cannot be started; then nothing was.
    pub fn start(&mut self, command: &[OsString]) -> Result<(), StartError> {
        let name = command.first().cloned().unwrap_or_default();
        let refused = |cause| StartError::Refused { command: name.clone(), cause };
        let mut child = Command::new(&name);
        // It waits until it is in the job, so that nothing that it starts can be missed.
        child.args(command.get(1..).unwrap_or_default()).creation_flags(CREATE_SUSPENDED);
        let child = child.spawn().map_err(refused)?;
        // SAFETY: both are open.
        let assigned = done(unsafe { AssignProcessToJobObject(self.job.raw(), child.as_raw_handle()) });
        let resumed = assigned.and_then(|()| resume(child.id()));
        if let Err(cause) = resumed {
            let mut child = child;
            // It never ran; that it cannot be ended either is not worth more words.
            drop(child.kill());
            return Err(refused(cause));
        }
        remember(&self.job, child.id());
        self.command = Some(child);
        Ok(())
    }

    /// Waits until something changes that is worth to be told, or for so long.
    ///
    /// # Errors
    /// When the system refuses to let us wait.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<Progress> {
        /// How often to look whether the user wants an end.
        const LOOK: Duration = Duration::from_millis(50);
        let mut left = at_most;
        loop {
            let before = self.status;
            self.look()?;
            // The command may have left the job a moment before its status is there.
            if self.over && self.status.is_some() {
                return Ok(Progress::Over);
            }
            if self.status.is_some() && console::asked() > self.asked_before {
                return Ok(Progress::Abandoned);
            }
            if before != self.status || left.is_zero() {
                return Ok(if self.status.is_some() { Progress::Outlived } else { Progress::Running });
            }
            let pause = left.min(LOOK);
            self.take_messages(pause)?;
            left = left.saturating_sub(pause);
        }
    }

    /// The status of the command, once it has ended, as shells give it.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// Sees who is there, and whether the command has ended.
    fn look(&mut self) -> io::Result<()> {
        // Asked before the messages are taken: those of whoever came and went are there by then.
        let present = self.command.as_ref().and_then(|_| present::in_job(&self.job));
        self.take_messages(Duration::ZERO)?;
        if let Some(present) = present {
            for pid in present.iter().filter(|pid| !self.present.contains(pid)) {
                remember(&self.job, *pid);
            }
            self.over |= present.is_empty();
            self.present = present;
        }
        if self.status.is_none()
            && let Some(command) = &mut self.command
            && let Some(ended) = command.try_wait()?
        {
            self.status = Some(exit_status(ended.code().unwrap_or(1)));
            self.asked_before = console::asked();
        }
        Ok(())
    }

    /// Takes note of who came and whether everybody is gone, waiting for the first message for so long.
    fn take_messages(&mut self, patience: Duration) -> io::Result<()> {
        let mut patience = u32::try_from(patience.as_millis()).unwrap_or(u32::MAX);
        loop {
            let (mut message, mut key) = (0_u32, 0_usize);
            let mut about: *mut OVERLAPPED = std::ptr::null_mut();
            // SAFETY: all three are writable. What `about` is set to is a number here, and not read from.
            let taken = unsafe {
                GetQueuedCompletionStatus(
                    self.port.raw(),
                    &raw mut message,
                    &raw mut key,
                    &raw mut about,
                    patience,
                )
            };
            if taken == 0 {
                let error = io::Error::last_os_error();
                let timed_out = error.raw_os_error() == Some(WAIT_TIMEOUT.cast_signed());
                return if timed_out { Ok(()) } else { Err(error) };
            }
            patience = 0;
            match message {
                JOB_OBJECT_MSG_NEW_PROCESS => {
                    remember(&self.job, u32::try_from(about.addr()).unwrap_or_default());
                }
                JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO => self.over = self.command.is_some(),
                _ => {}
            }
        }
    }
}

/// Lets the one thread of a new process run.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: takes numbers.
    let threads = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if threads == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it was opened here.
    let threads = unsafe { Handle::new(threads) };
    let mut entry = THREADENTRY32 { dwSize: size::<THREADENTRY32>(), ..THREADENTRY32::default() };
    // SAFETY: the structure is writable and says how large it is.
    let mut more = unsafe { Thread32First(threads.raw(), &raw mut entry) };
    while more != 0 {
        // Others may have put a thread into it, which runs.
        if entry.th32OwnerProcessID == pid && was_suspended(entry.th32ThreadID)? {
            return Ok(());
        }
        // SAFETY: as before.
        more = unsafe { Thread32Next(threads.raw(), &raw mut entry) };
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "it has no thread that waits"))
}

/// Lets the thread run; whether it did not.
fn was_suspended(thread: u32) -> io::Result<bool> {
    // SAFETY: takes numbers.
    let thread = opened(unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, thread) })?;
    // SAFETY: the thread is open.
    match unsafe { ResumeThread(thread.raw()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        before => Ok(before > 0),
    }
}

fn opened(raw: HANDLE) -> io::Result<Handle> {
    // SAFETY: it was opened by the caller, for us.
    if raw.is_null() { Err(io::Error::last_os_error()) } else { Ok(unsafe { Handle::new(raw) }) }
}

fn done(result: BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Codes that do not fit, such as those of exceptions, are a failure all the same.
fn exit_status(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
