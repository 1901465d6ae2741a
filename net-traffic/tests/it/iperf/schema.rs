//! The JSON has each key of iperf3, with a value of the same type, in each mode and role.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::network::{
    End, IPERF3, OURS, THERE, TestNetwork, in_network, in_network_with_priority, up_to_three_times,
};
use super::reports::{Ends, client};

const MODES: &[&str] = &[
    "-t 1",
    "-t 1 -R",
    "-t 1 --bidir",
    "-t 1 -P 2",
    "-u -b 5M -t 1",
    "-u -b 5M -t 1 --bidir",
    "-n 1M -M 1000",
];

/// The keys of newer versions of iperf3, and the additional key.
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
fn json_has_keys_and_types_of_iperf3() {
    in_network("json_has_keys_and_types_of_iperf3", |network| {
        for (ports, mode) in (5700..).step_by(2).zip(MODES) {
            let [client, server] = reports(network, IPERF3, ports, mode);
            let [our_client, our_server] = reports(network, OURS, ports + 1, mode);
            compare(&format!("the client with {mode}"), &client, &our_client);
            compare(&format!("the server with {mode}"), &server, &our_server);
            let version = our_client["start"]["version"].as_str().unwrap();
            assert!(version.starts_with("iperf 3."), "{version}");
        }
    });
}

#[test]
fn text_has_headings_of_iperf3() {
    in_network("text_has_headings_of_iperf3", |network| {
        let headings = |text: &str| {
            let lines = text.lines().filter(|line| line.starts_with("[ ID]") || *line == "iperf Done.");
            lines.map(|line| line.trim_end().to_owned()).collect::<Vec<_>>()
        };
        for (ports, mode) in (5750..).step_by(2).zip(["-t 1", "-t 1 -P 2", "-t 1 --bidir", "-u -b 5M -t 1"]) {
            let [theirs, ours] =
                texts_of_both(network, ports, mode).map(|texts| texts.map(|text| headings(&text)));
            assert_eq!(theirs[0].len(), 3, "{theirs:?}");
            assert_eq!(ours, theirs, "{mode}");
        }
    });
}

/// The columns of the words in a row; numbers differ between tests.
fn places(row: &str) -> Vec<(usize, &'static str)> {
    const WORDS: [&str; 8] = [" sec ", "Bytes ", "bits/sec", " ms ", "%)", "sender", "receiver", "[SUM]"];
    WORDS.iter().filter_map(|word| Some((row.find(word)?, *word))).collect()
}

/// One row of each kind in iperf3's text.
fn shapes(text: &str) -> BTreeSet<Vec<(usize, &'static str)>> {
    // A longer count of lost datagrams shifts the rest of the row.
    let rows = text.lines().filter(|line| line.contains(" sec ") && !line.contains("0.00 bits/sec"));
    rows.map(places).collect()
}

#[test]
fn rows_align_with_columns_of_iperf3() {
    in_network_with_priority("rows_align_with_columns_of_iperf3", |network| {
        let modes =
            ["-t 1 -b 8M", "-t 1 -b 8M -P 2", "-t 1 -b 8M --bidir", "-u -b 2M -t 1", "-u -b 2M -t 1 -P 2"];
        for (ports, mode) in (5770..).step_by(2).zip(modes) {
            // A very short last interval has other columns, and a datagram may be lost.
            up_to_three_times(|| {
                let [theirs, ours] = texts_of_both(network, ports, mode);
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

/// The stream numbers of iperf3 without other open descriptors, at both ends.
#[test]
fn stream_has_same_number_everywhere() {
    in_network("stream_has_same_number_everywhere", |network| {
        let modes = [("-t 1 -P 3", [&[5, 7, 9][..], &[5, 8, 10]]), ("-t 1 --bidir", [&[5, 7], &[5, 8]])];
        for (port, (mode, expected)) in (5791..).step_by(2).zip(modes) {
            let expected = expected.map(|numbers| numbers.iter().copied().collect::<BTreeSet<u64>>());
            for (report, expected) in reports(network, OURS, port, mode).iter().zip(&expected) {
                let mut found = BTreeMap::new();
                sockets(report, String::new(), &mut found);
                for place in ["/start/connected[]", "/intervals[]/streams[]", "/end/streams[]/sender"] {
                    assert_eq!(&found[&format!("{place}/socket")], expected, "{mode}: {place} of {report}");
                }
            }
            for (text, expected) in texts(network, OURS, port + 1, mode).iter().zip(&expected) {
                for kind in [" local ", " sec "] {
                    let lines = text.lines().filter(|line| line.contains(kind));
                    let named = lines.filter_map(|line| line.strip_prefix('[')?.split_once(']'));
                    let numbers = named.filter_map(|(number, _)| number.trim().parse().ok());
                    assert_eq!(&numbers.collect::<BTreeSet<u64>>(), expected, "{mode}: {text}");
                }
            }
        }
    });
}

/// The stream numbers, by their place in the document.
fn sockets(value: &Value, path: String, found: &mut BTreeMap<String, BTreeSet<u64>>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| sockets(value, format!("{path}/{key}"), found));
        }
        Value::Array(items) => items.iter().for_each(|item| sockets(item, format!("{path}[]"), found)),
        Value::Number(number) if path.ends_with("/socket") => {
            found.entry(path).or_default().extend(number.as_u64());
        }
        _ => {}
    }
}

#[test]
fn failed_test_prints_json_document() {
    in_network("failed_test_prints_json_document", |network| {
        let [theirs, ours] = [IPERF3, OURS].map(|program| client(network, program, THERE, 5790, "-J").end());
        assert_eq!((ours.code, ours.err.as_str()), (Some(1), ""), "{}", ours.out);
        compare("a refusal", &theirs.json(), &ours.json());
    });
}

/// The documents of client and server, with iperf3 and with net-traffic.
fn texts_of_both(network: &TestNetwork, port: u16, mode: &str) -> [[String; 2]; 2] {
    [texts(network, IPERF3, port, mode), texts(network, OURS, port + 1, mode)]
}

/// The documents of a test with the same program at both ends.
fn texts(network: &TestNetwork, program: &str, port: u16, mode: &str) -> [String; 2] {
    let server = network.serve(End::There, program, port, "-1");
    let client = client(network, program, THERE, port, mode).end();
    [client.out, server.end().out]
}

/// The keys and types of the documents.
fn reports(network: &TestNetwork, program: &'static str, port: u16, mode: &str) -> [Value; 2] {
    Ends { client: program, server: program }.test(network, port, mode).into()
}

fn compare(what: &str, theirs: &Value, ours: &Value) {
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    // A very short test may have no interval, and then the list has no keys to compare.
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

/// Every path with the types of its values; integers and floats are one type.
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
