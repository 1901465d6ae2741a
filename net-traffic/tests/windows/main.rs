//! The real binary on Windows, or under Wine: the tables against sockets that the tests opened, counters, names, exit
//! codes, and what is said where event tracing and the packet monitor are not to be had.
#![cfg(windows)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod iperf;
mod program;
mod real;
mod refusals;
mod run;
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../support/mod.rs"]
mod support;
mod tables;
