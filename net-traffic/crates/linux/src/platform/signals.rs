//! Handles the signals of a capture: SIGINT, SIGTERM and SIGHUP stop it, SIGUSR1 prints statistics.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

/// The flags that signals set and the capture reads.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    statistics: AtomicBool,
    done: AtomicBool,
}

impl Signals {
    /// Blocks the signals in this thread and in threads that start later, and starts a thread that receives them.
    ///
    /// # Errors
    /// When the mask cannot be set or the thread cannot start.
    pub fn listen() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = Self::default();
        let flags = signals.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            loop {
                match set.wait() {
                    Ok(Signal::SIGUSR1) => flags.0.statistics.store(true, Ordering::Relaxed),
                    // A second signal ends the process at once.
                    Ok(_) if flags.0.stop.swap(true, Ordering::Relaxed) => std::process::exit(0),
                    Ok(_) => flags.exit_after_timeout(),
                    Err(_) => return,
                }
            }
        })?;
        Ok(signals)
    }

    /// Ends the process if the capture does not: a write to a full pipe may block for ever.
    fn exit_after_timeout(&self) {
        const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3);
        let state = Arc::clone(&self.0);
        // If the thread cannot start, only a second signal ends a blocked write.
        drop(std::thread::Builder::new().name("stop timeout".into()).spawn(move || {
            std::thread::sleep(TIMEOUT);
            if !state.done.load(Ordering::Relaxed) {
                std::process::exit(0);
            }
        }));
    }

    /// Whether a signal has asked for the end.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    /// Whether SIGUSR1 has arrived since the last call.
    #[must_use]
    pub fn statistics_wanted(&self) -> bool {
        self.0.statistics.swap(false, Ordering::Relaxed)
    }

    /// The capture has written everything: the timeout no longer ends the process.
    pub fn done(&self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}
