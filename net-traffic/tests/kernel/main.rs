//! Known traffic compared with the counted bytes, on the running kernel, for each tier.
//!
//! With `NET_TRAFFIC_NO_SKIP=1` a skip that the machine does not explain fails. `NET_TRAFFIC_SLOW=N` multiplies every
//! time limit.

#[cfg(target_os = "linux")]
mod suite;

#[cfg(target_os = "linux")]
use net_traffic_selftest::traffic::{cases, run_worker_if_requested};

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    // The worker processes are this program too.
    let worker = suite::run_role_if_requested().or_else(|| run_worker_if_requested(cases()));
    worker.unwrap_or_else(suite::run)
}

#[cfg(not(target_os = "linux"))]
fn main() {}
