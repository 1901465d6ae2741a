//! The packet filter against libpcap's verdicts, stored and live, and against the kernel.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests fail by panicking and say what they saw"
)]

mod generated;
mod grammar;
#[cfg(target_os = "linux")]
mod kernel;
mod libpcap;
mod oracle;
mod properties;
mod verdicts;

/// Says why a test could not run, on stderr itself: what tests print is shown only when they fail.
fn skip(reason: &str) {
    use std::io::Write;
    std::io::stderr().write_all(format!("SKIP: {reason}\n").as_bytes()).unwrap();
}
