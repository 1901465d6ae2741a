//! What the console tells the programs in it: Ctrl-C, and that it is about to close.

use std::io;
use std::sync::atomic::{AtomicU32, Ordering};

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

/// How often the user asked for an end.
static ASKED: AtomicU32 = AtomicU32::new(0);

/// From here on Ctrl-C no longer ends the process by itself, and the end of the console waits for us, as long as the
/// system lets it.
pub(super) fn listen() -> io::Result<()> {
    // SAFETY: the function lives as long as the program and touches nothing but a number.
    let done = unsafe { SetConsoleCtrlHandler(Some(take), 1) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// How often the user has asked for an end by now.
pub(super) fn asked() -> u32 {
    ASKED.load(Ordering::Relaxed)
}

/// On a thread of the system.
unsafe extern "system" fn take(event: u32) -> BOOL {
    ASKED.fetch_add(1, Ordering::Relaxed);
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        // The process ends when this returns, at the latest a few seconds from now: the rest ends it by itself.
        loop {
            std::thread::park();
        }
    }
    1
}
