//! The format of recordings: JSON Lines. The first line is the header, each further line is a snapshot.

use serde::{Deserialize, Serialize};

/// The first line of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Header {
    pub format: String,
    pub version: u32,
}

pub(super) const FORMAT: &str = "net-traffic-recording";
pub(super) const VERSION: u32 = 1;

impl Header {
    pub(super) fn current() -> Self {
        Self { format: FORMAT.to_owned(), version: VERSION }
    }
}
