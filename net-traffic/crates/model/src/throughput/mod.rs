//! The observations of a throughput test, and the cause that limited it.

mod monitor;
mod observations;
mod verdict;

#[cfg(test)]
mod tests;

pub use self::monitor::TestMonitor;
pub use self::observations::{
    CpuLoad, HostLoad, InterfaceDelta, Observations, OtherProcess, StreamStats, TestRequest, Transfer,
};
pub use self::verdict::{Limit, Verdict, verdict};
