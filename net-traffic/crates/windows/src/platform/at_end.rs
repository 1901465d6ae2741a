//! Runs one action before this process ends: on a return from `main`, an exit, a panic, and the end of the console, of
//! the user's session or of Windows. Nothing runs when the process is killed.

use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

type Action = Box<dyn FnOnce() + Send>;

/// The action runs once: the first path out of the process takes it.
static ACTION: Mutex<Option<Action>> = Mutex::new(None);

/// The end of the process runs the action while this value lives. Dropping the value discards the action.
#[derive(Debug)]
pub(crate) struct AtEnd(());

impl AtEnd {
    /// # Errors
    /// When the console handler cannot be installed.
    pub(crate) fn new(action: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        install_hooks()?;
        *lock() = Some(Box::new(action));
        Ok(Self(()))
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        drop(lock().take());
    }
}

/// Ends the process without destructors. `ExitProcess`, which Rust calls, skips the `atexit` functions of the C runtime.
pub(crate) fn exit(status: i32) -> ! {
    run_action();
    std::process::exit(status)
}

fn run_action() {
    let action = lock().take();
    if let Some(action) = action {
        action();
    }
}

/// Hooks panics, `atexit` and console events.
fn install_hooks() -> io::Result<()> {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> i32;
    }
    extern "C" fn at_exit() {
        run_action();
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            run_action();
            previous(panic);
        }));
        // SAFETY: the function lives as long as the program. A failure leaves only the return of `main` uncovered.
        let _registered = unsafe { atexit(at_exit) };
    });
    // Windows calls the newest handler first, and an older one may never return. So the handler must be the newest: it
    // is removed, which fails if it is not installed, and added again.
    // SAFETY: the function lives as long as the program.
    unsafe { SetConsoleCtrlHandler(Some(on_control_event), 0) };
    // SAFETY: as before.
    let done = unsafe { SetConsoleCtrlHandler(Some(on_control_event), 1) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Runs on a thread that Windows creates for the event. After the end of the console a process has a few seconds
/// (<https://learn.microsoft.com/en-us/windows/console/handlerroutine>), so that the action runs at once. The return
/// value passes the event on to the next handler.
unsafe extern "system" fn on_control_event(event: u32) -> BOOL {
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        run_action();
    }
    0
}

fn lock() -> MutexGuard<'static, Option<Action>> {
    ACTION.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
