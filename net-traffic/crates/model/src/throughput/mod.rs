//! What was seen while a throughput test ran, and what limited it.

mod observe;
mod seen;
mod verdict;

#[cfg(test)]
mod tests;

pub use self::observe::Watch;
pub use self::seen::{Asked, Core, InterfaceSeen, Moved, Observations, OtherSeen, StreamSeen, Surroundings};
pub use self::verdict::{Limit, Verdict, verdict};
