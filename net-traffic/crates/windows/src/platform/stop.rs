//! Waits for a console event that ends the program.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

/// The handlers of all console events.
#[derive(Debug)]
pub struct Stop {
    interrupt: CtrlC,
    break_off: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Stop {
    /// Installs the handlers, so that Ctrl-C no longer ends the process.
    ///
    /// # Errors
    /// When a handler cannot be installed.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            break_off: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// Does nothing: [`Self::listen`] already handles the end of the console, which is the hangup of Windows.
    ///
    /// # Errors
    /// None here.
    pub fn with_hangup(self) -> io::Result<Self> {
        Ok(self)
    }

    /// Returns after one of the events.
    pub async fn wait(&mut self) {
        let Self { interrupt, break_off, close, logoff, shutdown } = self;
        tokio::select! {
            _ = interrupt.recv() => (),
            _ = break_off.recv() => (),
            _ = close.recv() => (),
            _ = logoff.recv() => (),
            _ = shutdown.recv() => (),
        }
    }
}
