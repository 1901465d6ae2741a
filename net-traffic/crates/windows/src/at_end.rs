//! What must be done before this process ends, in every way that lets it do anything: a return, an exit, a panic, and
//! the end of the console, of the user's session or of the system.

use std::io;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use windows_sys::Win32::System::Console::{CTRL_BREAK_EVENT, CTRL_C_EVENT, SetConsoleCtrlHandler};
use windows_sys::core::BOOL;

type Act = Box<dyn FnOnce() + Send>;

/// It is done once, and whoever takes it does it.
static ACT: Mutex<Option<Act>> = Mutex::new(None);

/// As long as this lives, the end of the process does what it was made with. Its drop does not.
#[derive(Debug)]
pub(super) struct AtEnd(());

impl AtEnd {
    /// # Errors
    /// When the system refuses to tell of the console's end.
    pub(super) fn new(act: impl FnOnce() + Send + 'static) -> io::Result<Self> {
        listen()?;
        *lock() = Some(Box::new(act));
        Ok(Self(()))
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        drop(lock().take());
    }
}

/// Ends the process, without destructors. The system's own way does not even call what the C library knows.
pub(super) fn exit(status: i32) -> ! {
    act();
    std::process::exit(status)
}

fn act() {
    let act = lock().take();
    if let Some(act) = act {
        act();
    }
}

/// Has every end that is told of lead here.
fn listen() -> io::Result<()> {
    unsafe extern "C" {
        fn atexit(function: extern "C" fn()) -> i32;
    }
    extern "C" fn at_exit() {
        act();
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            act();
            before(panic);
        }));
        // SAFETY: the function lives as long as the program. Without it only what the C library ends is missed.
        let _registered = unsafe { atexit(at_exit) };
    });
    // Who came last is called first: those that were there before may never return. Twice in the list it would be
    // called twice, so that it is taken out; that it was not there is no error.
    // SAFETY: the function lives as long as the program.
    unsafe { SetConsoleCtrlHandler(Some(take), 0) };
    // SAFETY: as before.
    let done = unsafe { SetConsoleCtrlHandler(Some(take), 1) };
    if done == 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// On a thread of the system. After the end of the console a process has a few seconds; what must be done is done at
/// once, and the next in the list lets the rest of the program end by itself.
unsafe extern "system" fn take(event: u32) -> BOOL {
    if !matches!(event, CTRL_C_EVENT | CTRL_BREAK_EVENT) {
        act();
    }
    0
}

fn lock() -> MutexGuard<'static, Option<Act>> {
    ACT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
