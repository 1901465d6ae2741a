//! Checks the full screen under Wine: `top` starts, handles keys and restores the terminal; reports end on Ctrl-C.
//!
//! Wine draws the screen with wrong cells, so this check searches for words only. The tests compare the frames.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::wine::Wine;

const POLL_INTERVAL: Duration = Duration::from_millis(100);
const POLLS: u32 = 600;
/// Phrases that only the help contains. Wine misplaces some cells, so one of the phrases is enough.
const HELP: [&str; 4] = ["Loss ledger", "hold the screen", "begin the totals", "has such a connection"];

/// Starts `top`, sends keys, and expects exit status 0 after `q`.
pub(super) fn check(wine: &Wine, program: &Path) -> Result<()> {
    let terminal = Terminal::open()?;
    terminal.type_line(&format!("{}; echo status=$?", wine.line(program, "top")))?;
    terminal.wait("the screen", |shown| shown.contains("space hold"))?;
    terminal.press("?")?;
    terminal.wait("the help", |shown| HELP.iter().any(|words| shown.contains(words)))?;
    for key in ["Escape", "Tab", "2", "Down"] {
        terminal.press(key)?;
    }
    terminal.tmux(&["resize-window", "-x", "140", "-y", "40"])?;
    terminal.press("q")?;
    terminal.wait("the exit status", |shown| shown.contains("status=0"))?;
    interrupt(&terminal, &wine.line(program, "top --json -d 1 > /dev/null"))
}

/// Without the full screen, Ctrl-C is a console control event; the program exits with status 0.
fn interrupt(terminal: &Terminal, line: &str) -> Result<()> {
    terminal.type_line(&format!("{line}; echo interrupted=$?"))?;
    // The program prints this note after the first report.
    terminal.wait("the first report", |shown| shown.contains("counting: event tracing"))?;
    terminal.press("C-c")?;
    terminal.wait("the exit status after Ctrl-C", |shown| shown.contains("interrupted=0"))
}

/// A shell in a separate tmux server.
struct Terminal {
    socket: String,
}

impl Terminal {
    fn open() -> Result<Self> {
        let terminal = Self { socket: format!("net-traffic-windows-{}", std::process::id()) };
        terminal.tmux(&["new-session", "-d", "-x", "100", "-y", "30", "env -u NO_COLOR PS1='$ ' sh -i"])?;
        terminal.wait("a prompt", |shown| shown.contains('$'))?;
        Ok(terminal)
    }

    fn type_line(&self, line: &str) -> Result<()> {
        self.tmux(&["send-keys", "-l", line])?;
        self.press("Enter")
    }

    fn press(&self, key: &str) -> Result<()> {
        self.tmux(&["send-keys", key]).map(drop)
    }

    /// Polls the screen until the condition holds.
    fn wait(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        let mut shown = String::new();
        for _ in 0..POLLS {
            shown = self.tmux(&["capture-pane", "-p"])?;
            if holds(&shown) {
                return Ok(());
            }
            sleep(POLL_INTERVAL);
        }
        bail!("{what} did not appear; the screen is\n{shown}")
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
