//! Waits for a signal that ends the program.

use std::io;

/// The handlers of SIGINT and SIGTERM, and optionally of SIGHUP.
#[derive(Debug)]
pub struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Stop {
    /// Installs the handlers, so that the signals no longer end the process.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// Also handles SIGHUP, for a program that must restore the terminal. A program without a screen leaves SIGHUP
    /// alone, so that `nohup` works.
    ///
    /// # Errors
    /// When the handler cannot be installed.
    pub fn with_hangup(self) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { hangup: Some(signal(SignalKind::hangup())?), ..self })
    }

    /// Returns after one of the signals.
    pub async fn wait(&mut self) {
        let Self { interrupt, terminate, hangup } = self;
        let hung_up = async {
            match hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = terminate.recv() => (),
            _ = hung_up => (),
        }
    }
}
