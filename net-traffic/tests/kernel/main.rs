//! Known traffic against what was counted, on the running kernel: to the byte, for every way of counting.
//!
//! `NET_TRAFFIC_NO_SKIP=1` turns a skip that this machine does not explain into a failure; `NET_TRAFFIC_SLOW=N`
//! gives everything N times as long.

#[cfg(target_os = "linux")]
mod suite;

#[cfg(target_os = "linux")]
use net_traffic_selftest::traffic::{cases, run_worker_if_requested};

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    // The traffic's processes are this program too.
    let told = suite::act_if_told().or_else(|| run_worker_if_requested(cases()));
    told.unwrap_or_else(suite::run)
}

#[cfg(not(target_os = "linux"))]
fn main() {}
