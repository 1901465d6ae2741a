//! `cargo xtask screenshot`: draws the README's picture of `net-traffic top`.
//!
//! `net-traffic top` replays a generated recording in tmux. Its screen after one recorded minute becomes an SVG file.
//! The result depends only on net-traffic and on `host.rs`.

mod ansi;
mod host;
mod recording;
mod svg;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::process::{self, root, target_dir};
use crate::tmux::Terminal;

const COLUMNS: u16 = 120;
const ROWS: u16 = 30;
/// The length of the recording. The picture is taken earlier, because `top` shows a mark at the end of a recording.
const RECORDING_SECONDS: u64 = 90;
/// The picture is taken when `top` shows this time. Its graphs then cover a whole minute of the recording.
const PICTURE_TIME: &str = "12:01:02";

/// Draw the screen of `net-traffic top` to docs/screenshot.svg.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Keys to press before the picture is taken, by tmux's names (`2` selects the second list).
    #[arg(long, num_args = 1..)]
    keys: Vec<String>,
    /// The file to write.
    #[arg(long, default_value = "docs/screenshot.svg")]
    output: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    process::run(process::cargo().args(["build", "--locked", "--package=net-traffic"]))?;
    let recording = target_dir().join("screenshot.jsonl");
    fs::write(&recording, recording::generate(RECORDING_SECONDS))
        .with_context(|| format!("write {}", recording.display()))?;
    let screen = replay(&recording, &args.keys)?;

    let output = root().join(&args.output);
    if let Some(directory) = output.parent() {
        fs::create_dir_all(directory).with_context(|| format!("create {}", directory.display()))?;
    }
    fs::write(&output, svg::draw(&ansi::parse(&screen), COLUMNS))
        .with_context(|| format!("write {}", output.display()))?;
    eprintln!("{}", output.display());
    Ok(())
}

/// Replays the recording at ten times its speed. Returns the screen at `PICTURE_TIME`, with escape sequences.
fn replay(recording: &std::path::Path, keys: &[String]) -> Result<String> {
    let terminal = Terminal::open("screenshot", COLUMNS, ROWS)?;
    let program = target_dir().join("debug/net-traffic");
    let variables = "TERM=tmux-256color COLORTERM=truecolor";
    terminal.type_line(&format!(
        "{variables} {} top -d 0.1 --replay {}",
        program.display(),
        recording.display()
    ))?;
    terminal.wait("the screen", |screen| screen.contains("quit"))?;
    for key in keys {
        terminal.press(key)?;
    }
    let screen = terminal.wait_styled(PICTURE_TIME, |screen| screen.contains(PICTURE_TIME))?;
    terminal.press("q")?;
    Ok(screen)
}
