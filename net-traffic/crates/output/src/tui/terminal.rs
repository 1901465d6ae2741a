//! Switches the terminal to the full screen, and restores it on drop and on panic.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::Show;
use ratatui::crossterm::event::{DisableMouseCapture, EnableMouseCapture};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};

use super::{HitMap, Picture, State, draw};

/// The terminal in full-screen mode. Frames are drawn into memory, because a write to the terminal can block.
pub struct FullScreen {
    terminal: Terminal<CrosstermBackend<Pending>>,
    pending: Pending,
}

static ENTERED: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

impl FullScreen {
    /// Switches to the full screen. Drop and panic restore the terminal.
    ///
    /// # Errors
    /// If standard output is not a terminal, or the terminal rejects a mode.
    pub fn enter() -> io::Result<Self> {
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                before(panic);
            }));
        });
        let pending = Pending::default();
        let terminal = Terminal::new(CrosstermBackend::new(pending.clone()))?;
        ENTERED.store(true, Ordering::SeqCst);
        // `drop` restores the terminal also if one of the next steps fails.
        let screen = Self { terminal, pending };
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture)?;
        Ok(screen)
    }

    /// Draws a frame; returns its click targets and the bytes to write to the terminal.
    ///
    /// # Errors
    /// If the size of the terminal is unknown.
    pub fn frame(&mut self, state: &State, picture: &Picture<'_>) -> io::Result<(HitMap, Vec<u8>)> {
        let mut hits = HitMap::default();
        self.terminal.draw(|frame| hits = draw(frame, state, picture))?;
        Ok((hits, self.pending.take()))
    }
}

impl Drop for FullScreen {
    fn drop(&mut self) {
        restore();
    }
}

/// Restores the terminal, once. Errors are ignored: a terminal that hung up needs no restoration.
fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        drop(execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, Show));
        drop(disable_raw_mode());
    }
}

/// The bytes for the terminal that are not yet written.
#[derive(Clone, Debug, Default)]
struct Pending(Rc<RefCell<Vec<u8>>>);

impl Pending {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.borrow_mut())
    }
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for FullScreen {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("FullScreen").finish_non_exhaustive()
    }
}
