//! Runs a command, and waits until the command and its descendants have ended.
//!
//! The command is assigned to a job object before its first instruction, so that every descendant is in the job
//! (<https://learn.microsoft.com/en-us/windows/win32/procthread/job-objects>). The job sends messages to a completion
//! port, but Windows does not guarantee their delivery
//! (<https://learn.microsoft.com/en-us/windows/win32/api/winnt/ns-winnt-jobobject_associate_completion_port>). So the
//! process list of the job is read as well.

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
use super::descendants::record;
use crate::processes::handle::Handle;
use crate::size;
use net_traffic_snapshot::{Progress, StartError};

/// A command and its descendants.
#[derive(Debug)]
pub struct Children {
    job: Handle,
    port: Handle,
    command: Option<Child>,
    status: Option<u8>,
    over: bool,
    /// The processes of the last list.
    present: HashSet<u32>,
    /// The number of console events when the command ended.
    stop_requests_before: u32,
}

impl Children {
    /// Creates the job and its completion port, and installs the console handler.
    ///
    /// # Errors
    /// When Windows refuses.
    pub fn adopt() -> io::Result<Self> {
        console::listen()?;
        // SAFETY: null pointers stand for no name and the default security.
        let job = opened(unsafe { CreateJobObjectW(std::ptr::null(), std::ptr::null()) })?;
        // SAFETY: INVALID_HANDLE_VALUE creates a port without a file.
        let port = unsafe { CreateIoCompletionPort(INVALID_HANDLE_VALUE, std::ptr::null_mut(), 0, 1) };
        let port = opened(port)?;
        let association = JOBOBJECT_ASSOCIATE_COMPLETION_PORT {
            CompletionKey: std::ptr::null_mut(),
            CompletionPort: port.raw(),
        };
        let octets = size::<JOBOBJECT_ASSOCIATE_COMPLETION_PORT>();
        // SAFETY: the structure has `octets` octets and is only read.
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
            stop_requests_before: 0,
        })
    }

    /// Starts the command with this process's standard streams.
    ///
    /// # Errors
    /// When the command cannot be started, or not assigned to the job.
    pub fn start(&mut self, command: &[OsString]) -> Result<(), StartError> {
        let name = command.first().cloned().unwrap_or_default();
        let refused = |cause| StartError::Refused { command: name.clone(), cause };
        let mut child = Command::new(&name);
        // The command is suspended until it is in the job: no descendant can start before.
        child.args(command.get(1..).unwrap_or_default()).creation_flags(CREATE_SUSPENDED);
        let child = child.spawn().map_err(refused)?;
        // SAFETY: both handles are open.
        let assigned = done(unsafe { AssignProcessToJobObject(self.job.raw(), child.as_raw_handle()) });
        let resumed = assigned.and_then(|()| resume(child.id()));
        if let Err(cause) = resumed {
            let mut child = child;
            // The command never ran. A failure to end it changes nothing.
            drop(child.kill());
            return Err(refused(cause));
        }
        record(&self.job, child.id());
        self.command = Some(child);
        Ok(())
    }

    /// Waits until the progress changes, and no longer than `at_most`.
    ///
    /// # Errors
    /// When the completion port or the command's status cannot be read.
    pub fn wait(&mut self, at_most: Duration) -> io::Result<Progress> {
        /// The interval between two checks for console events.
        const POLL_INTERVAL: Duration = Duration::from_millis(50);
        let mut left = at_most;
        loop {
            let before = self.status;
            self.update()?;
            // The job may be empty shortly before the status is available.
            if self.over && self.status.is_some() {
                return Ok(Progress::Over);
            }
            if self.status.is_some() && console::stop_requests() > self.stop_requests_before {
                return Ok(Progress::Abandoned);
            }
            if before != self.status || left.is_zero() {
                return Ok(if self.status.is_some() { Progress::Outlived } else { Progress::Running });
            }
            let pause = left.min(POLL_INTERVAL);
            self.take_messages(pause)?;
            left = left.saturating_sub(pause);
        }
    }

    /// The exit status of the ended command, at most 255.
    #[must_use]
    pub fn status(&self) -> Option<u8> {
        self.status
    }

    /// Reads the job's process list and messages, and the command's status.
    fn update(&mut self) -> io::Result<()> {
        // The list is read before the messages: a process that ends between the two has a message.
        let present = self.command.as_ref().and_then(|_| present::in_job(&self.job));
        self.take_messages(Duration::ZERO)?;
        if let Some(present) = present {
            for pid in present.iter().filter(|pid| !self.present.contains(pid)) {
                record(&self.job, *pid);
            }
            self.over |= present.is_empty();
            self.present = present;
        }
        if self.status.is_none()
            && let Some(command) = &mut self.command
            && let Some(ended) = command.try_wait()?
        {
            self.status = Some(exit_status(ended.code().unwrap_or(1)));
            self.stop_requests_before = console::stop_requests();
        }
        Ok(())
    }

    /// Reads the job's messages, and waits up to `timeout` for the first one.
    fn take_messages(&mut self, timeout: Duration) -> io::Result<()> {
        let mut timeout = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        loop {
            let (mut message, mut key) = (0_u32, 0_usize);
            let mut pid: *mut OVERLAPPED = std::ptr::null_mut();
            // SAFETY: all three are writable. Messages of a job put a PID into `lpOverlapped`; it is not dereferenced.
            let taken = unsafe {
                GetQueuedCompletionStatus(
                    self.port.raw(),
                    &raw mut message,
                    &raw mut key,
                    &raw mut pid,
                    timeout,
                )
            };
            if taken == 0 {
                let error = io::Error::last_os_error();
                let timed_out = error.raw_os_error() == Some(WAIT_TIMEOUT.cast_signed());
                return if timed_out { Ok(()) } else { Err(error) };
            }
            timeout = 0;
            match message {
                JOB_OBJECT_MSG_NEW_PROCESS => {
                    record(&self.job, u32::try_from(pid.addr()).unwrap_or_default());
                }
                JOB_OBJECT_MSG_ACTIVE_PROCESS_ZERO => self.over = self.command.is_some(),
                _ => {}
            }
        }
    }
}

/// Resumes the first thread of a suspended process.
fn resume(pid: u32) -> io::Result<()> {
    // SAFETY: takes numbers.
    let threads = unsafe { CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0) };
    if threads == INVALID_HANDLE_VALUE {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the handle was opened here.
    let threads = unsafe { Handle::new(threads) };
    let mut entry = THREADENTRY32 { dwSize: size::<THREADENTRY32>(), ..THREADENTRY32::default() };
    // SAFETY: the structure is writable and `dwSize` has its size.
    let mut more = unsafe { Thread32First(threads.raw(), &raw mut entry) };
    while more != 0 {
        // Another program may have injected a thread, which runs already.
        if entry.th32OwnerProcessID == pid && resume_thread(entry.th32ThreadID)? {
            return Ok(());
        }
        // SAFETY: as before.
        more = unsafe { Thread32Next(threads.raw(), &raw mut entry) };
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "the process has no suspended thread"))
}

/// Resumes the thread; true if it was suspended.
fn resume_thread(thread: u32) -> io::Result<bool> {
    // SAFETY: takes numbers.
    let thread = opened(unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, thread) })?;
    // SAFETY: the thread is open.
    match unsafe { ResumeThread(thread.raw()) } {
        u32::MAX => Err(io::Error::last_os_error()),
        before => Ok(before > 0),
    }
}

fn opened(raw: HANDLE) -> io::Result<Handle> {
    // SAFETY: the caller opened the handle and gives it away.
    if raw.is_null() { Err(io::Error::last_os_error()) } else { Ok(unsafe { Handle::new(raw) }) }
}

fn done(result: BOOL) -> io::Result<()> {
    if result == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Exit codes of Windows have 32 bits, such as those of exceptions. A code above 255 becomes 255.
fn exit_status(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests;
