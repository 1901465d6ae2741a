//! Throughput tests: this program as server and as client.

use std::process::Stdio;
use std::time::Duration;

use crate::program::{alone, program, stderr};

/// A port that nobody listens on, as far as that can be told.
fn port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn a_client_and_a_server_agree_on_what_was_moved() {
    let _alone = alone();
    let port = port();
    let server = program()
        .args(["iperf", "-s", "-1", "--json", "-p", &port])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let client =
        || program().args(["iperf", "127.0.0.1", "-t", "1", "--json", "-p", &port]).output().unwrap();
    let mut output = client();
    for _ in 0..50 {
        if output.status.success() {
            break;
        }
        // The server may not listen yet.
        std::thread::sleep(Duration::from_millis(200));
        output = client();
    }
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let answered = server.wait_with_output().unwrap();
    assert_eq!(answered.status.code(), Some(0), "{}", stderr(&answered));
    let end = |octets: &[u8]| -> serde_json::Value { serde_json::from_slice(octets).unwrap() };
    let (ours, theirs) = (end(&output.stdout), end(&answered.stdout));
    let received = |report: &serde_json::Value| report["end"]["sum_received"]["bytes"].as_u64().unwrap();
    assert!(received(&ours) > 0, "{ours}");
    assert_eq!(received(&ours), received(&theirs));
    assert!(ours.get("net_traffic").is_some());
}

#[test]
fn a_test_without_a_server_fails_and_says_so() {
    let _alone = alone();
    let output = program().args(["iperf", "127.0.0.1", "-t", "1", "-p", &port()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("error"), "{}", stderr(&output));
}
