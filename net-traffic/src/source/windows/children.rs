//! Runs a command and waits until it and everything that it started has ended.
//!
//! The command is put into a job before it runs: whatever it starts is in the same job, which tells who comes and
//! who goes.

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
use crate::source::{Progress, StartError};

/// A command and its descendants.
#[derive(Debug)]
pub struct Children {
    job: Handle,
    port: Handle,
    command: Option<Child>,
    status: Option<u8>,
    over: bool,
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
        Ok(Self { job, port, command: None, status: None, over: false, asked_before: 0 })
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
            if self.over {
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

    /// Sees whether the command has ended.
    fn look(&mut self) -> io::Result<()> {
        self.take_messages(Duration::ZERO)?;
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
    while more != 0 && entry.th32OwnerProcessID != pid {
        // SAFETY: as before.
        more = unsafe { Thread32Next(threads.raw(), &raw mut entry) };
    }
    // SAFETY: takes numbers.
    let thread = opened(unsafe { OpenThread(THREAD_SUSPEND_RESUME, 0, entry.th32ThreadID) })?;
    // SAFETY: the thread is open.
    let before = unsafe { ResumeThread(thread.raw()) };
    if before == u32::MAX { Err(io::Error::last_os_error()) } else { Ok(()) }
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
mod tests {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use super::*;
    use crate::snapshot::Snapshot;
    use crate::source::windows::connections::Connections;
    use crate::source::windows::descendants;
    use crate::source::windows::processes::Processes;
    use crate::source::{Collector, Wanted};

    fn ended(children: &mut Children) -> Progress {
        for _ in 0..600 {
            match children.wait(Duration::from_millis(100)).unwrap() {
                Progress::Running | Progress::Outlived => {}
                end => return end,
            }
        }
        panic!("it does not end");
    }

    /// Whoever looks at who is a descendant must be the only one who makes any.
    fn alone() -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[test]
    fn a_command_is_waited_for_with_what_it_starts() {
        let _alone = alone();
        let before = descendants::members();
        let mut children = Children::adopt().unwrap();
        // The inner one is started by the outer one, which does not wait for it.
        let line = ["cmd", "/c", "start", "/b", "cmd", "/c", "exit 3"].map(OsString::from);
        children.start(&line).unwrap();
        let command = children.command.as_ref().unwrap().id();
        assert_eq!(ended(&mut children), Progress::Over);
        assert_eq!(children.status(), Some(0));
        let mut members = descendants::members();
        members.retain(|member| !before.contains(member));
        assert!(members.iter().any(|member| member.pid == command && member.start_ticks != 0), "{members:?}");
        assert!(members.iter().any(|member| member.pid != command), "{members:?}");
    }

    #[test]
    fn who_has_the_id_of_a_descendant_that_is_gone_is_no_descendant() {
        let _alone = alone();
        let children = Children::adopt().unwrap();
        // The job told of a process that ended before it was looked at, and whose id is this process's by now.
        let pid = std::process::id();
        remember(&children.job, pid);
        let own = Processes::default().now(pid);
        assert!(!descendants::has(own));
        let mut connections = Connections::new(Wanted::default(), None, true);
        let mut snapshot = Snapshot::default();
        connections.collect(&mut snapshot).unwrap();
        assert!(!snapshot.traced.contains(&own), "{:?}", snapshot.traced);
        assert!(snapshot.traced.iter().any(|traced| traced.pid == pid), "its own bytes are traced");
    }

    #[test]
    fn the_status_is_that_of_the_command() {
        let _alone = alone();
        let mut children = Children::adopt().unwrap();
        children.start(&["cmd", "/c", "exit 7"].map(OsString::from)).unwrap();
        assert_eq!(ended(&mut children), Progress::Over);
        assert_eq!(children.status(), Some(7));
    }

    #[test]
    fn a_command_that_is_not_there_is_refused_as_shells_do() {
        let mut children = Children::adopt().unwrap();
        let refused = children.start(&["no-such-command".into()]).unwrap_err();
        assert_eq!(refused.status(), 127);
    }
}
