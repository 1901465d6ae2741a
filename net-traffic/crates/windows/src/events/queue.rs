//! From the callback, which must not wait, to whoever adds up: a queue with an end, and a count of what it refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::kernel_network::{Event, decode};

/// What the callback could not pass on.
#[derive(Debug, Default)]
pub struct Losses {
    /// Events that found the queue full.
    pub queue_full: AtomicU64,
    /// Events that are not what their number says.
    pub malformed: AtomicU64,
}

/// The callback's end.
#[derive(Clone, Debug)]
pub struct Callback {
    queue: SyncSender<Event>,
    losses: Arc<Losses>,
}

/// The other end.
#[derive(Debug)]
pub struct Queue {
    pub events: Receiver<Event>,
    pub losses: Arc<Losses>,
}

/// A queue that holds so many events.
#[must_use]
pub fn queue(most: usize) -> (Callback, Queue) {
    let (queue, events) = sync_channel(most);
    let losses = Arc::new(Losses::default());
    (Callback { queue, losses: Arc::clone(&losses) }, Queue { events, losses })
}

impl Callback {
    /// Takes one event: its number, its time, and what it carries. Neither waits nor fails.
    pub fn take(&self, id: u16, time: i64, payload: &[u8]) {
        match decode(id, time, payload) {
            Ok(None) => {}
            // If nobody counts any more, the session is about to end.
            Ok(Some(event)) => {
                if let Err(TrySendError::Full(_)) = self.queue.try_send(event) {
                    count(&self.losses.queue_full);
                }
            }
            Err(_) => count(&self.losses.malformed),
        }
    }
}

fn count(what: &AtomicU64) {
    what.fetch_add(1, Ordering::Relaxed);
}
