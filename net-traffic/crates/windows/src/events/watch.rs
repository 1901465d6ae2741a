//! Tracks the losses and the end of an ETW session. Any administrator may stop the session at any time.

use std::io;

/// The reason if a session ends without an error.
pub const STOPPED: &str = "the ETW session was stopped from outside";

/// The loss and the end of a session.
#[derive(Debug, Default)]
pub struct SessionWatch {
    lost: u64,
    ended: Option<String>,
}

impl SessionWatch {
    /// Updates the number of lost events and the reason of the end. A failed query keeps the last number.
    pub fn update(&mut self, lost: io::Result<u64>, ended: Option<String>) {
        let before = self.ended.take();
        let gone = match lost {
            Ok(lost) => {
                self.lost = self.lost.max(lost);
                None
            }
            Err(error) => (error.kind() == io::ErrorKind::NotFound).then(|| STOPPED.to_owned()),
        };
        self.ended = before.or(ended).or(gone);
    }

    /// The number of events that the session has lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Why the session has ended; `None` while it runs.
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }
}
