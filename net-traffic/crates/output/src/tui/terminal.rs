//! Takes the terminal, and gives it back: when dropped, and when the program panics.

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

/// The terminal while it is ours. Frames are drawn into memory: whoever writes them may be kept waiting.
pub struct FullScreen {
    terminal: Terminal<CrosstermBackend<Pending>>,
    pending: Pending,
}

static TAKEN: AtomicBool = AtomicBool::new(false);
static HOOK: Once = Once::new();

impl FullScreen {
    /// Takes the terminal. Whatever happens from here on, it is given back.
    ///
    /// # Errors
    /// When standard output is no terminal, or it refuses.
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
        TAKEN.store(true, Ordering::SeqCst);
        // From here on `drop` gives it back, also when one of the next steps fails.
        let screen = Self { terminal, pending };
        enable_raw_mode()?;
        execute!(io::stdout(), EnterAlternateScreen, EnableMouseCapture)?;
        Ok(screen)
    }

    /// Draws a frame; returns the bytes that make the terminal show it.
    ///
    /// # Errors
    /// When the terminal does not say how large it is.
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

/// Gives the terminal back, once. A terminal that went away needs nothing any more, so errors are of no interest.
fn restore() {
    if TAKEN.swap(false, Ordering::SeqCst) {
        drop(execute!(io::stdout(), DisableMouseCapture, LeaveAlternateScreen, Show));
        drop(disable_raw_mode());
    }
}

/// Bytes for the terminal that are not yet written.
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
