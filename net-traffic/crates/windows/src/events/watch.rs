//! What is known of a session, which anybody with the rights may stop at any time.

use std::io;

/// Why no more events come, where nobody says more.
pub const STOPPED: &str = "the session of event tracing was stopped from outside";

/// What it is watched by: the loss that the system tells of, and whether it has ended.
#[derive(Debug, Default)]
pub struct Watch {
    lost: u64,
    ended: Option<String>,
}

impl Watch {
    /// Hears what the system says: how many events were lost by now, and why no more will come, if none will. What
    /// cannot be read now was at least what it was before.
    pub fn hear(&mut self, lost: io::Result<u64>, ended: Option<String>) {
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

    /// Events that the session lost while it ran.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Why no more events come, once that is so. How many were not told of since then nobody knows.
    #[must_use]
    pub fn ended(&self) -> Option<&str> {
        self.ended.as_deref()
    }
}
