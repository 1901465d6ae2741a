//! Keys, mouse and size changes of the terminal, read on a thread of their own.

use std::io;
use std::time::Duration;

use ratatui::crossterm::event::{Event as Input, poll, read};
use tokio::sync::mpsc::{Receiver, channel, error::TrySendError};

use net_traffic_output::tui::Event;

/// Starts the thread. The channel closes when the terminal ends.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn listen() -> io::Result<Receiver<Event>> {
    /// More keys than a user types while a frame is drawn.
    const QUEUE: usize = 256;
    /// How often the thread checks whether the receiver is closed.
    const CHECK: Duration = Duration::from_millis(500);
    let (sender, receiver) = channel(QUEUE);
    std::thread::Builder::new().name("keys".to_owned()).spawn(move || {
        while !sender.is_closed() {
            let event = match poll(CHECK).and_then(|ready| if ready { read().map(Some) } else { Ok(None) }) {
                Ok(Some(input)) => event_of(&input),
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

fn event_of(input: &Input) -> Option<Event> {
    match input {
        Input::Key(key) => Some(Event::Key(*key)),
        Input::Mouse(mouse) => Some(Event::Mouse(*mouse)),
        Input::Resize(..) => Some(Event::Resize),
        Input::FocusGained | Input::FocusLost | Input::Paste(_) => None,
    }
}
