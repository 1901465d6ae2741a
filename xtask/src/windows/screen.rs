//! The full screen under Wine: it starts, takes keys, and gives the terminal back; reports end by Ctrl-C. What Wine draws
//! is garbled; the frames themselves are compared by the tests.

use std::path::Path;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use super::wine::Wine;

const LOOK: Duration = Duration::from_millis(100);
const LOOKS: u32 = 600;
/// What only the help says. Wine puts some of it in the wrong place, and so breaks lines that are none.
const HELP: [&str; 4] = ["Loss ledger", "hold the screen", "begin the totals", "has such a connection"];

/// Starts `top`, presses keys, and has it end by one and with status 0.
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
    terminal.wait("the end", |shown| shown.contains("status=0"))?;
    interrupt(&terminal, &wine.line(program, "top --json -d 1 > /dev/null"))
}

/// Without the full screen Ctrl-C is no key: the system tells of it, and the program ends by itself.
fn interrupt(terminal: &Terminal, line: &str) -> Result<()> {
    terminal.type_line(&format!("{line}; echo interrupted=$?"))?;
    // Said after the first report.
    terminal.wait("the first report", |shown| shown.contains("counting: event tracing"))?;
    terminal.press("C-c")?;
    terminal.wait("the end by Ctrl-C", |shown| shown.contains("interrupted=0"))
}

/// A shell in a tmux of its own.
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

    fn wait(&self, what: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
        let mut shown = String::new();
        for _ in 0..LOOKS {
            shown = self.tmux(&["capture-pane", "-p"])?;
            if holds(&shown) {
                return Ok(());
            }
            sleep(LOOK);
        }
        bail!("waited in vain for {what}; the screen is\n{shown}")
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
