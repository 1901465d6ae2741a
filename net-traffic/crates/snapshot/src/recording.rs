//! The format of recordings: a header, then a snapshot a line, as JSON.

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
