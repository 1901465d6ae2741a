//! A real Docker engine, started by the test: the bytes of containers through docker0, NAT and a published port.
//!
//! The engine runs in a network and a mount namespace of the test, so its bridge, rules and mounts end with the test. Needs
//! root, `dockerd`, `iptables` and a static busybox; with `NET_TRAFFIC_NO_SKIP=1` a skip fails.

#[cfg(target_os = "linux")]
mod bridge;
#[cfg(target_os = "linux")]
mod engine;
#[cfg(target_os = "linux")]
mod packets;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    let mut arguments = libtest_mimic::Arguments::from_args();
    // A namespace is per thread.
    arguments.test_threads = Some(1);
    libtest_mimic::run(&arguments, vec![bridge::trial()]).exit_code()
}

#[cfg(not(target_os = "linux"))]
fn main() {}
