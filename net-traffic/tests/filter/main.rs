//! The eBPF translation of packet filters in the running kernel.

#![cfg(target_os = "linux")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and a passed one prints its numbers"
)]

#[path = "../../crates/pcap-filter/tests/oracle/data.rs"]
#[expect(dead_code, reason = "this test reads a part of the stored data")]
mod data;
mod kernel;

use net_traffic_testing::skip;
