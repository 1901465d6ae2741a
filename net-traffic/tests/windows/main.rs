//! The program on Windows or under Wine: tables, counters, names, exit statuses, and the messages about missing event
//! tracing and a missing packet monitor.
#![cfg(windows)]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod iperf;
mod program;
mod real;
mod refusals;
mod run;
mod tables;
