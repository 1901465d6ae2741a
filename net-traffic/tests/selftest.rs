//! The self-test passes where nothing is wrong, and fails when one event in a thousand is lost.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

use std::process::{Command, Output};

fn selftest(spoil: bool) -> (Output, serde_json::Value) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_net-traffic"));
    command.args(["selftest", "--json", "--duration", "0.2"]);
    if spoil {
        command.env("NET_TRAFFIC_SABOTAGE", "1");
    }
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report)
}

#[test]
fn it_passes_here() {
    let (output, report) = selftest(false);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["passed"], true);
    let cases = report["cases"].as_array().unwrap();
    let counted = cases.iter().filter(|case| case["result"] == "ok");
    let bytes: u64 = counted.map(|case| case["counted_bytes"].as_u64().unwrap()).sum();
    assert!(bytes > 1_000_000, "{report}");
}

#[test]
fn it_fails_when_one_event_in_a_thousand_is_lost() {
    let (output, report) = selftest(true);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(report["passed"], false);
    let failed = report["cases"].as_array().unwrap().iter().filter(|case| case["result"] == "failed");
    for case in failed {
        assert!(case["error_bytes"].as_u64().unwrap() > 0, "{case}");
    }
}

#[test]
fn a_duration_out_of_range_is_a_usage_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_net-traffic"))
        .args(["selftest", "--tier", "polling", "--duration", "0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
}
