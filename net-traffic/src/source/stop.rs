//! Waits for the user, or the system, to end the program.

use std::io;

/// A wish to stop, from Ctrl-C or, where the system has it, SIGTERM.
#[derive(Debug)]
pub struct Stop {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
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

#[cfg(not(unix))]
impl Stop {
    /// From here on Ctrl-C no longer ends the process by itself.
    ///
    /// # Errors
    /// None here.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {})
    }

    /// There is no such signal here.
    ///
    /// # Errors
    /// None here.
    pub fn with_hangup(self) -> io::Result<Self> {
        Ok(self)
    }

    /// Returns once the program is to stop.
    pub async fn wait(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
