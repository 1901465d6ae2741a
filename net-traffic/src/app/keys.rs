//! Keys, mouse and size of the terminal, from a thread that waits for them.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{Event as Input, poll, read};
use tokio::sync::mpsc::{Receiver, channel, error::TrySendError};

use net_traffic_output::tui::Event;

/// Begins to listen. The channel ends when the terminal does.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn listen() -> io::Result<Receiver<Event>> {
    /// More than anybody types while a frame is drawn.
    const AHEAD: usize = 256;
    /// How soon the thread notices that nobody listens any more.
    const PATIENCE: Duration = Duration::from_millis(500);
    let (sender, receiver) = channel(AHEAD);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while !sender.is_closed() {
            let event = match poll(PATIENCE).and_then(|ready| if ready { read().map(Some) } else { Ok(None) })
            {
                Ok(Some(input)) => meaning(&input),
                Ok(None) => None,
                Err(_) => return,
            };
            let Some(event) = event else { continue };
            if matches!(sender.try_send(event), Err(TrySendError::Closed(_))) {
                return;
            }
        }
    })?;
    Ok(receiver)
}

fn meaning(input: &Input) -> Option<Event> {
    match input {
        Input::Key(key) => Some(Event::Key(*key)),
        Input::Mouse(mouse) => Some(Event::Mouse(*mouse)),
        Input::Resize(..) => Some(Event::Resize),
        Input::FocusGained | Input::FocusLost | Input::Paste(_) => None,
    }
}
