//! What a test says that cannot run here; where everything is installed on purpose (`NET_TRAFFIC_NO_SKIP=1`) it fails.

/// Goes past the capture of the test's output: a skip is to be seen.
pub(crate) fn skip(reason: &str) {
    let strict = std::env::var("NET_TRAFFIC_NO_SKIP").is_ok_and(|value| value == "1");
    assert!(!strict, "no skip allowed: {reason}");
    std::io::Write::write_all(&mut std::io::stderr(), format!("SKIP: {reason}\n").as_bytes()).unwrap();
}
