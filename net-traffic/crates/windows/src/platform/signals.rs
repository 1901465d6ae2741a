//! Handles the console events of a capture: each of them stops it.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{at_end, console};

/// The state that console events set and the capture reads.
#[derive(Clone, Debug, Default)]
pub struct Signals {
    done: Arc<AtomicBool>,
}

impl Signals {
    /// Installs the console handler, and starts a thread that ends the process if the capture does not.
    ///
    /// # Errors
    /// When the handler cannot be installed or the thread cannot start.
    pub fn listen() -> io::Result<Self> {
        console::listen()?;
        let signals = Self::default();
        let done = Arc::clone(&signals.done);
        std::thread::Builder::new().name("signals".into()).spawn(move || exit_if_blocked(&done))?;
        Ok(signals)
    }

    /// Whether a console event has asked for the end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        console::stop_requests() > 0
    }

    /// Always false: Windows has no SIGUSR1.
    #[must_use]
    pub fn statistics_wanted(&self) -> bool {
        false
    }

    /// The capture has written everything: the timeout no longer ends the process.
    pub fn done(&self) {
        self.done.store(true, Ordering::Relaxed);
    }
}

/// Ends the process after a second console event, or 3 s after the first: a write to a full pipe may block for ever.
fn exit_if_blocked(done: &AtomicBool) {
    const POLL_INTERVAL: Duration = Duration::from_millis(50);
    const TIMEOUT_POLLS: u32 = 60;
    let mut polls = 0;
    while !done.load(Ordering::Relaxed) {
        std::thread::sleep(POLL_INTERVAL);
        let requests = console::stop_requests();
        polls += u32::from(requests > 0);
        if requests > 1 || polls > TIMEOUT_POLLS {
            at_end::exit(0);
        }
    }
}
