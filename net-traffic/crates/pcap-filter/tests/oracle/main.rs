//! The compiler against libpcap 1.10.3: stored verdicts, and the installed library where there is one.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a failed test panics, and a passed one prints its numbers"
)]

mod data;
mod grammar;
mod libpcap;
mod manual;
mod properties;
mod random;
mod verdicts;

/// Prints the reason of a skip past the captured output. With `NET_TRAFFIC_NO_SKIP=1`, where everything is installed on
/// purpose, a skip is a failure.
fn skip(reason: &str) {
    let strict = std::env::var("NET_TRAFFIC_NO_SKIP").is_ok_and(|value| value == "1");
    assert!(!strict, "no skip allowed: {reason}");
    std::io::Write::write_all(&mut std::io::stderr(), format!("SKIP: {reason}\n").as_bytes()).unwrap();
}
