//! Checks the full screen under Wine: `top` starts, handles keys and restores the terminal; reports end on Ctrl-C.
//!
//! Wine draws the screen with wrong cells, so this check searches for words only. The tests compare the frames.

use std::path::Path;

use anyhow::Result;

use super::wine::Wine;
use crate::tmux::Terminal;

/// Phrases that only the help contains. Wine misplaces some cells, so one of the phrases is enough.
const HELP: [&str; 4] = ["Loss ledger", "hold the screen", "begin the totals", "has such a connection"];

/// Starts `top`, sends keys, and expects exit status 0 after `q`.
pub(super) fn check(wine: &Wine, program: &Path) -> Result<()> {
    let terminal = Terminal::open("windows", 100, 30)?;
    terminal.type_line(&format!("{}; echo status=$?", wine.line(program, "top")))?;
    terminal.wait("the screen", |shown| shown.contains("space hold"))?;
    terminal.press("?")?;
    terminal.wait("the help", |shown| HELP.iter().any(|words| shown.contains(words)))?;
    for key in ["Escape", "Tab", "2", "Down"] {
        terminal.press(key)?;
    }
    terminal.resize(140, 40)?;
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
