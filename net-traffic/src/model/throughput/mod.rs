//! What was seen while a throughput test ran, and what limited it.

mod observe;
mod verdict;

#[cfg(test)]
mod tests;

pub use self::observe::{
    Asked, Core, InterfaceSeen, Observations, OtherSeen, StreamSeen, Surroundings, Watch,
};
pub use self::verdict::{Limit, Verdict, verdict};
