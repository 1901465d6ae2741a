//! The JSON is iperf3's: each key that it has, with a value of the same kind, in every mode and both roles.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::stage::{End, IPERF3, OURS, Stage, THERE, on_stage, on_stage_first, up_to_three_times};

const MODES: &[&str] = &[
    "-t 1",
    "-t 1 -R",
    "-t 1 --bidir",
    "-t 1 -P 2",
    "-u -b 5M -t 1",
    "-u -b 5M -t 1 --bidir",
    "-n 1M -M 1000",
];

/// What iperf3 has added since the version that is compared with, and what is ours.
const NEWER: &[&str] = &[
    "/end/streams[]/sender/reorder",
    "/intervals[]/streams[]/reorder",
    "/start/fq_rate",
    "/start/test_start/bidir",
    "/start/test_start/fqrate",
    "/start/test_start/gro",
    "/start/test_start/gso",
    "/start/test_start/interval",
    "/start/timestamp/timemillisecs",
    "/net_traffic",
];

#[test]
fn the_json_has_iperf3s_keys_and_kinds() {
    on_stage("the_json_has_iperf3s_keys_and_kinds", |stage| {
        for (ports, mode) in (5700..).step_by(2).zip(MODES) {
            let [client, server] = reports(stage, IPERF3, ports, mode);
            let [our_client, our_server] = reports(stage, OURS, ports + 1, mode);
            compare(&format!("the client with {mode}"), &client, &our_client);
            compare(&format!("the server with {mode}"), &server, &our_server);
            let version = our_client["start"]["version"].as_str().unwrap();
            assert!(version.starts_with("iperf 3."), "{version}");
        }
    });
}

#[test]
fn the_text_has_iperf3s_headings() {
    on_stage("the_text_has_iperf3s_headings", |stage| {
        let headings = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with("[ ID]") || *line == "iperf Done.");
            lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
        };
        for (ports, mode) in (5750..).step_by(2).zip(["-t 1", "-t 1 -P 2", "-t 1 --bidir", "-u -b 5M -t 1"]) {
            let texts = |program: &str, port: u16, word: &str| {
                let server = stage.serve(End::There, program, port, "-1");
                let client =
                    stage.start(End::Here, program, &format!("{word} -c {THERE} -p {port} {mode}")).end();
                [headings(&client.out), headings(&server.end().out)]
            };
            let (theirs, ours) = (texts(IPERF3, ports, ""), texts(OURS, ports + 1, "iperf"));
            assert_eq!(theirs[0].len(), 3, "{theirs:?}");
            assert_eq!(ours, theirs, "{mode}");
        }
    });
}

/// Where the words of a row stand; numbers differ from test to test.
fn places(row: &str) -> Vec<(usize, &'static str)> {
    const WORDS: [&str; 8] = [" sec ", "Bytes ", "bits/sec", " ms ", "%)", "sender", "receiver", "[SUM]"];
    WORDS.iter().filter_map(|word| Some((row.find(word)?, *word))).collect()
}

/// Each kind of row that iperf3 writes in a test, once.
fn shapes(text: &str) -> BTreeSet<Vec<(usize, &'static str)>> {
    // A count of lost datagrams that has one digit more moves what stands behind it.
    let rows = text.lines().filter(|line| line.contains(" sec ") && !line.contains("0.00 bits/sec"));
    rows.map(places).collect()
}

#[test]
fn the_rows_stand_in_iperf3s_columns() {
    on_stage_first("the_rows_stand_in_iperf3s_columns", |stage| {
        let modes =
            ["-t 1 -b 8M", "-t 1 -b 8M -P 2", "-t 1 -b 8M --bidir", "-u -b 2M -t 1", "-u -b 2M -t 1 -P 2"];
        for (ports, mode) in (5770..).step_by(2).zip(modes) {
            let texts = |program: &str, port: u16, word: &str| {
                let server = stage.serve(End::There, program, port, "-1");
                let client =
                    stage.start(End::Here, program, &format!("{word} -c {THERE} -p {port} {mode}")).end();
                [client.out, server.end().out]
            };
            // A last interval that has hardly begun has no place of its own, and a datagram may be lost.
            up_to_three_times(|| {
                let (theirs, ours) = (texts(IPERF3, ports, ""), texts(OURS, ports + 1, "iperf"));
                let [their_shapes, our_shapes] =
                    [&theirs, &ours].map(|[client, server]| [shapes(client), shapes(server)]);
                assert!(their_shapes[0].len() > 1, "{theirs:?}");
                if their_shapes == our_shapes {
                    Ok(())
                } else {
                    Err(format!("{mode}: {theirs:#?} {ours:#?}"))
                }
            });
        }
    });
}

#[test]
fn a_failed_test_is_a_document_too() {
    on_stage("a_failed_test_is_a_document_too", |stage| {
        let ended = |program: &str, word: &str| {
            stage.start(End::Here, program, &format!("{word} -c {THERE} -p 5790 -J")).end()
        };
        let (theirs, ours) = (ended(IPERF3, ""), ended(OURS, "iperf"));
        assert_eq!((ours.code, ours.err.as_str()), (Some(1), ""), "{}", ours.out);
        compare("a refusal", &theirs.json(), &ours.json());
    });
}

/// Of a test with the same program at both ends.
fn reports(stage: &Stage, program: &str, port: u16, mode: &str) -> [Value; 2] {
    let server = stage.serve(End::There, program, port, "-1 -J");
    let word = if program == OURS { "iperf" } else { "" };
    let client = stage.start(End::Here, program, &format!("{word} -c {THERE} -p {port} {mode} -J")).end();
    [client.json(), server.end().json()]
}

fn compare(what: &str, theirs: &Value, ours: &Value) {
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    // A test that is over at once may have no interval, and then the list of them says nothing of their keys.
    let bare = |report: &Value| report["intervals"].as_array().is_none_or(Vec::is_empty);
    let skipped = if bare(theirs) || bare(ours) { "/intervals" } else { "-" };
    walk(theirs, String::new(), skipped, &mut expected);
    walk(ours, String::new(), skipped, &mut found);
    for (path, kinds) in &expected {
        let ours = found.get(path);
        assert_eq!(ours, Some(kinds), "{what}: {path}");
    }
    let added: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    let is_known = |path: &str| NEWER.iter().any(|known| path == *known || path.starts_with("/net_traffic/"));
    let unknown: Vec<_> = added.iter().filter(|path| !is_known(path)).collect();
    assert!(unknown.is_empty(), "{what}: {unknown:?}");
}

/// Every path with the kinds of what is there; a number is a number, whole or not.
fn walk(value: &Value, path: String, skipped: &str, found: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    if path == skipped {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                walk(value, format!("{path}/{key}"), skipped, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                walk(item, format!("{path}[]"), skipped, found);
            }
        }
        _ => {}
    }
    let kind = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    found.entry(path).or_default().insert(kind);
}
