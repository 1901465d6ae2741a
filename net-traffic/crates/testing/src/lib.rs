//! What the tests of several crates share: fixtures, recordings, the check of JSON reports, skips and waits.
//!
//! Every function panics where a test must fail. The crate depends on `net-traffic-snapshot` only, so that the tests of
//! every other crate can use it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]
#![expect(clippy::missing_panics_doc, clippy::must_use_candidate, reason = "the crate is for tests only")]

mod fixtures;
#[cfg(target_os = "linux")]
mod netns;
mod recordings;
#[cfg(target_os = "linux")]
pub mod report;
pub mod schema;
mod skip;
mod wait;

pub use fixtures::{endpoint, process, snapshot, socket};
#[cfg(target_os = "linux")]
pub use netns::in_new_netns;
pub use recordings::{recording, recordings, snapshots};
pub use skip::skip;
pub use wait::{patience, wait_until};
