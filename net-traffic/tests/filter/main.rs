//! The packet filter against libpcap's verdicts, stored and live, and against the kernel.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they saw"
)]

mod generated;
mod grammar;
#[cfg(target_os = "linux")]
mod kernel;
mod libpcap;
mod manual;
mod oracle;
mod properties;
mod verdicts;

use net_traffic_testing::skip;
