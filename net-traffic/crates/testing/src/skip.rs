//! Skips a test with a visible reason. With `NET_TRAFFIC_NO_SKIP=1`, where every tool is installed, a skip fails.

use std::io::Write;

/// Writes the reason past the harness's capture of output, so that it is visible.
pub fn skip(reason: &str) {
    let strict = std::env::var("NET_TRAFFIC_NO_SKIP").is_ok_and(|value| value == "1");
    assert!(!strict, "no skip allowed: {reason}");
    std::io::stderr().write_all(format!("SKIP: {reason}\n").as_bytes()).unwrap();
}
