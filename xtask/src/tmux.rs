//! A shell in a tmux server of its own, for programs that draw the full screen.

use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

const POLL_INTERVAL: Duration = Duration::from_millis(50);
/// One minute.
const POLLS: u32 = 1200;

/// Dropping it ends the tmux server and the programs in it.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Starts a shell in a terminal of this size. `name` distinguishes the tmux servers of different tasks.
    pub(crate) fn open(name: &str, columns: u16, rows: u16) -> Result<Self> {
        let terminal = Self { socket: format!("net-traffic-{name}-{}", std::process::id()) };
        let (columns, rows) = (columns.to_string(), rows.to_string());
        terminal.tmux(&[
            "new-session",
            "-d",
            "-x",
            &columns,
            "-y",
            &rows,
            "env -u NO_COLOR PS1='$ ' sh -i",
        ])?;
        terminal.wait("a prompt", |screen| screen.contains('$'))?;
        Ok(terminal)
    }

    /// Types a command line and presses Enter.
    pub(crate) fn type_line(&self, line: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", line])?;
        self.press("Enter")
    }

    pub(crate) fn press(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    pub(crate) fn resize(&self, columns: u16, rows: u16) -> Result<()> {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-x", &columns, "-y", &rows]).map(drop)
    }

    /// Polls the screen until the condition holds. `what` names the expected text in the error.
    pub(crate) fn wait(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        self.poll(what, &["capture-pane", "-p"], holds).map(drop)
    }

    /// The same, and returns the screen with its escape sequences for colours and attributes.
    pub(crate) fn wait_styled(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<String> {
        self.poll(what, &["capture-pane", "-e", "-N", "-p"], holds)
    }

    fn poll(&self, what: &str, capture: &[&str], holds: impl Fn(&str) -> bool) -> Result<String> {
        let mut screen = String::new();
        for _ in 0..POLLS {
            screen = self.tmux(capture)?;
            if holds(&screen) {
                return Ok(screen);
            }
            sleep(POLL_INTERVAL);
        }
        bail!("{what} did not appear; the screen is\n{screen}")
    }

    fn tmux(&self, arguments: &[&str]) -> Result<String> {
        let server = ["-L", &self.socket, "-f", "/dev/null"];
        let output = Command::new("tmux").args(server).args(arguments).output().context("start tmux")?;
        ensure!(output.status.success(), "tmux: {}", String::from_utf8_lossy(&output.stderr));
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended = self.tmux(&["kill-server"]);
    }
}
