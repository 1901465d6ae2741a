//! Tests of the program and its crates: everything but the kernel's accounting, containers and Windows itself.
//!
//! A test that lacks rights or a tool says SKIP with the reason, and fails with `NET_TRAFFIC_NO_SKIP=1`. A test that
//! enters a network namespace does so in its own thread, because the tests of one binary run in parallel.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

#[cfg(target_os = "linux")]
mod architecture;
#[cfg(target_os = "linux")]
mod capture;
mod cli;
#[cfg(target_os = "linux")]
mod crowd;
#[cfg(target_os = "linux")]
mod frame_cost;
mod frames;
#[cfg(target_os = "linux")]
mod iperf;
mod model;
#[cfg(target_os = "linux")]
mod names;
#[cfg(target_os = "linux")]
mod polling;
mod program;
#[cfg(target_os = "linux")]
mod rights;
mod screen;
mod screen_filter;
#[cfg(target_os = "linux")]
mod selftest;
#[cfg(target_os = "linux")]
mod sock_diag;
#[cfg(target_os = "linux")]
mod tmux;
#[cfg(target_os = "linux")]
mod tui;
mod views;
