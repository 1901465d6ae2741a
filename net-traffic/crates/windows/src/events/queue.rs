//! The bounded queue between the ETW callback, which must not block, and the thread that sums the events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::kernel_network::{Event, decode};

/// Events that the callback could not queue.
#[derive(Debug, Default)]
pub struct Losses {
    /// The queue was full.
    pub queue_full: AtomicU64,
    /// The payload was too short.
    pub malformed: AtomicU64,
}

/// The sender.
#[derive(Clone, Debug)]
pub struct Callback {
    queue: SyncSender<Event>,
    losses: Arc<Losses>,
}

/// The receiver.
#[derive(Debug)]
pub struct Queue {
    pub events: Receiver<Event>,
    pub losses: Arc<Losses>,
}

/// Creates a queue for `capacity` events.
#[must_use]
pub fn queue(capacity: usize) -> (Callback, Queue) {
    let (queue, events) = sync_channel(capacity);
    let losses = Arc::new(Losses::default());
    (Callback { queue, losses: Arc::clone(&losses) }, Queue { events, losses })
}

impl Callback {
    /// Queues one event. Does not block.
    pub fn push(&self, id: u16, time: i64, payload: &[u8]) {
        match decode(id, time, payload) {
            Ok(None) => {}
            // Without a receiver the session is about to end.
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
