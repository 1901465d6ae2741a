//! What the user asks for by signals while packets are written: to stop, or for the numbers so far.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, Signal};

/// Set by signals, asked by whoever writes.
#[derive(Clone, Debug, Default)]
pub struct Signals(Arc<State>);

#[derive(Debug, Default)]
struct State {
    stop: AtomicBool,
    statistics: AtomicBool,
    done: AtomicBool,
}

impl Signals {
    /// From here on the signals no longer end the process by themselves; threads that are started later are not
    /// bothered by them.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn listen() -> io::Result<Self> {
        let mut set = SigSet::empty();
        for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1] {
            set.add(signal);
        }
        set.thread_block()?;
        let signals = Self::default();
        let told = signals.clone();
        std::thread::Builder::new().name("signals".into()).spawn(move || {
            loop {
                match set.wait() {
                    Ok(Signal::SIGUSR1) => told.0.statistics.store(true, Ordering::Relaxed),
                    Ok(_) if told.0.stop.swap(true, Ordering::Relaxed) => std::process::exit(0),
                    Ok(_) => told.watch(),
                    Err(_) => return,
                }
            }
        })?;
        Ok(signals)
    }

    /// A writer that waits for a reader must not keep the program from ending.
    fn watch(&self) {
        const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);
        let state = Arc::clone(&self.0);
        // Without the thread the program is merely as patient as its reader.
        drop(std::thread::Builder::new().name("patience".into()).spawn(move || {
            std::thread::sleep(PATIENCE);
            if !state.done.load(Ordering::Relaxed) {
                std::process::exit(0);
            }
        }));
    }

    /// The user wants to stop.
    #[must_use]
    pub fn stopped(&self) -> bool {
        self.0.stop.load(Ordering::Relaxed)
    }

    /// The user wants to see numbers; true once for each time.
    #[must_use]
    pub fn statistics_wanted(&self) -> bool {
        self.0.statistics.swap(false, Ordering::Relaxed)
    }

    /// All is written; what remains takes no time.
    pub fn done(&self) {
        self.0.done.store(true, Ordering::Relaxed);
    }
}
