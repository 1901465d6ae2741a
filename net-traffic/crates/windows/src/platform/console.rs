//! Counts the console's control events: Ctrl-C, Ctrl-Break, and the end of the console or of the user's session.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

static STOP_REQUESTS: AtomicU32 = AtomicU32::new(0);

/// Installs a control handler (<https://learn.microsoft.com/en-us/windows/console/setconsolectrlhandler>). From now on
/// Ctrl-C no longer ends the process.
pub(super) fn listen() -> io::Result<()> {
    // SAFETY: the handler lives as long as the program and accesses one atomic.
    let done = unsafe { SetConsoleCtrlHandler(Some(on_control_event), 1) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// The number of control events so far.
pub(super) fn stop_requests() -> u32 {
    STOP_REQUESTS.load(Ordering::Relaxed)
}

/// Runs on a thread that Windows creates for the event.
unsafe extern "system" fn on_control_event(event: u32) -> BOOL {
    STOP_REQUESTS.fetch_add(1, Ordering::Relaxed);
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        // After the other events Windows ends the process when the handler returns, or after a few seconds
        // (<https://learn.microsoft.com/en-us/windows/console/handlerroutine>). The main thread needs this time.
        loop {
            std::thread::park();
        }
    }
    1
}
