//! Waits for the user, or the system, to end the program.

use std::io;

/// A wish to stop, from Ctrl-C or SIGTERM.
#[derive(Debug)]
pub struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

impl Stop {
    /// From here on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// When the system refuses to have its signals handled.
    pub fn listen() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: None,
        })
    }

    /// Also stops when the terminal goes away. Without a screen to give back nobody needs that, and `nohup` must
    /// keep its meaning.
    ///
    /// # Errors
    /// When the system refuses to have this signal handled.
    pub fn with_hangup(self) -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { hangup: Some(signal(SignalKind::hangup())?), ..self })
    }

    /// Returns once the program is to stop.
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
