//! Records and replays.

use crate::program::{alone, program, reports, run, stderr};
use net_traffic_testing::schema;

#[test]
fn recording_made_here_is_replayed() {
    let _alone = alone();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("day.jsonl");
    let recorded = program().args(["record", "-d", "0.1", "-c", "3"]).arg(&file).output().unwrap();
    assert_eq!(recorded.status.code(), Some(0), "{}", stderr(&recorded));
    for view in ["connections", "top", "bandwidth", "doctor"] {
        let output = program().args([view, "--json", "--replay"]).arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{view}: {}", stderr(&output));
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.is_empty());
        text.lines().for_each(schema::check);
    }
}

#[test]
fn every_format_is_written() {
    for format in ["table", "markdown", "json", "csv"] {
        let output = run(&format!("-a --format {format}"));
        assert_eq!(output.status.code(), Some(0));
        assert!(!output.stdout.is_empty());
    }
}

#[test]
fn connection_identities_are_stable() {
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let reports = reports(&format!("-l -d 0.1 -c 3 --port {port}"));
    assert_eq!(reports.len(), 3);
    // A socket with a changed identity would have two rows.
    assert!(reports.iter().all(|report| report.get("connections").list().len() == 1));
}
