//! A real Docker engine, started and stopped by the test: who moved what, through docker0, NAT and a published port.
//!
//! Everything is in a network and a mount namespace of the test's own: the bridge, the packet filter's rules and the
//! mounts end with it. Needs root, `dockerd`, `iptables` and a static busybox; `NET_TRAFFIC_NO_SKIP=1` turns a skip
//! into a failure.

#[cfg(target_os = "linux")]
mod bridge;
#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod packets;
#[cfg(target_os = "linux")]
#[path = "../kernel/suite/program/report.rs"]
#[expect(dead_code, reason = "the kernel suite uses the rest")]
mod report;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // Namespaces belong to a thread.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, vec![bridge::trial()]).exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
