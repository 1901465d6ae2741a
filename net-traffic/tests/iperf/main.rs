//! Throughput tests against iperf3 itself, in network namespaces of their own: what both sides report, what the kernel
//! counted, what limited the test, and a server that stays up whoever comes.
//!
//! Needs root and iperf3; says SKIP with the reason otherwise, or fails with `NET_TRAFFIC_NO_SKIP=1`.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]
#![expect(clippy::disallowed_methods, reason = "programs are waited for, with a deadline")]

mod agree;
mod causes;
mod client;
mod figures;
mod obeyed;
mod obstacles;
mod options;
mod progress;
mod reports;
mod rights;
mod schema;
mod server;
#[path = "../support/skip.rs"]
mod skip;
mod stage;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../support/tmux.rs"]
mod tmux;
