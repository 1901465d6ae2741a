//! Throughput tests with the program as server and as client.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Stdio};
use std::time::Duration;

use crate::program::{alone, program, stderr};

/// A port that was free a moment ago.
fn port() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port().to_string()
}

#[test]
fn client_and_server_agree_on_bytes() {
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
fn test_without_server_fails_with_reason() {
    let _alone = alone();
    let output = program().args(["iperf", "127.0.0.1", "-t", "1", "-p", &port()]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("error"), "{}", stderr(&output));
}

/// Kills the process when the test ends.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = (self.0.kill(), self.0.wait());
    }
}

#[test]
fn client_during_test_is_refused_as_busy() {
    let _alone = alone();
    let port = port();
    let start = |arguments: &[&str]| {
        let mut command = program();
        command.arg("iperf").args(arguments).args(["-p", &port]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (Running(child), lines)
    };
    let (_server, mut said) = start(&["-s"]);
    assert!(said.any(|line| line.unwrap().contains("Server listening")));
    let (_client, _ignored) = start(&["127.0.0.1", "-t", "60"]);
    assert!(said.any(|line| line.unwrap().contains("/sec")), "the test runs");
    let second = program().args(["iperf", "127.0.0.1", "-t", "1", "-p", &port]).output().unwrap();
    assert_eq!(second.status.code(), Some(1), "{}", stderr(&second));
    assert!(stderr(&second).contains("the server is busy running a test"), "{}", stderr(&second));
    // The running test continues.
    assert!(said.any(|line| line.unwrap().contains("/sec")));
}

#[test]
fn silent_client_is_dropped_and_others_served() {
    let _alone = alone();
    let port = port();
    let mut command = program();
    command.args(["iperf", "-s", "-p", &port]).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Running(command.spawn().unwrap());
    let mut said = BufReader::new(server.0.stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap().contains("Server listening")));
    let mut silent = TcpStream::connect(format!("127.0.0.1:{port}")).unwrap();
    silent.write_all(&[b'c'; 37]).unwrap();
    // The server closes the connection, so a write fails and the client ends.
    assert!(silent.read_to_end(&mut Vec::new()).unwrap() > 0);
    drop(silent);
    let client = || program().args(["iperf", "127.0.0.1", "-t", "1", "-p", &port]).output().unwrap();
    assert!((0..4).any(|_| client().status.success()));
}
