//! Waits for the user, or the system, to end the program.

use std::io;

use tokio::signal::windows::{CtrlBreak, CtrlC, CtrlClose, CtrlLogoff, CtrlShutdown};
use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_logoff, ctrl_shutdown};

/// A wish to stop, from Ctrl-C, or because the console or the session of the user goes away.
#[derive(Debug)]
pub struct Stop {
    interrupt: CtrlC,
    break_off: CtrlBreak,
    close: CtrlClose,
    logoff: CtrlLogoff,
    shutdown: CtrlShutdown,
}

impl Stop {
    /// From here on Ctrl-C no longer ends the process by itself.
    ///
    /// # Errors
    /// When the system refuses to tell.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: ctrl_c()?,
            break_off: ctrl_break()?,
            close: ctrl_close()?,
            logoff: ctrl_logoff()?,
            shutdown: ctrl_shutdown()?,
        })
    }

    /// The end of the console is told in any case.
    ///
    /// # Errors
    /// None here.
    pub fn with_hangup(self) -> io::Result<Self> {
        Ok(self)
    }

    /// Returns once the program is to stop.
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
