//! What the user asks for while packets are written: to stop.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{at_end, console};

/// Asked by whoever writes.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    done: Arc<AtomicBool>,
}

impl Signals {
    /// From here on Ctrl-C no longer ends the process by itself; a second one does.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        console::listen()?;
        let signals = Self::default();
        let done = Arc::clone(&signals.done);
        std::thread::Builder::new().name("signals".into()).spawn(move || watch(&done))?;
        Ok(signals)
    }

    /// The user wants to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        console::asked() > 0
    }

    /// Nobody can ask for numbers here.
    #[must_use]
    pub fn statistics_wanted(&self) -> bool {
        false
    }

    /// All is written; what remains takes no time.
    pub fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// A writer that waits for a reader must not keep the program from ending.
fn watch(done: &AtomicBool) {
    const LOOK: Duration = Duration::from_millis(50);
    const PATIENCE: u32 = 60;
    let mut waited = 0;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        let asked = console::asked();
        waited += u32::from(asked > 0);
        if asked > 1 || waited > PATIENCE {
            at_end::exit(0);
        }
    }
}
