//! Compares the output of net-traffic with that of iperf3, for client and server in each mode. The JSON must have the
//! same keys and types of values, the text the same headings and columns.

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

/// The keys that only net-traffic may have: those of newer versions of iperf3, and its own `net_traffic`.
const ADDED_KEYS: &[&str] = &[
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
        for (port, mode) in (5700..).step_by(2).zip(MODES) {
            let [client, server] = reports(network, IPERF3, port, mode);
            let [our_client, our_server] = reports(network, OURS, port + 1, mode);
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
        for (port, mode) in (5750..).step_by(2).zip(["-t 1", "-t 1 -P 2", "-t 1 --bidir", "-u -b 5M -t 1"]) {
            let [theirs, ours] =
                texts_of_both(network, port, mode).map(|texts| texts.map(|text| headings(&text)));
            assert_eq!(theirs[0].len(), 3, "{theirs:?}");
            assert_eq!(ours, theirs, "{mode}");
        }
    });
}

/// The position of each of these words in a row. Numbers differ between tests and are not compared.
fn word_positions(row: &str) -> Vec<(usize, &'static str)> {
    const WORDS: [&str; 8] = [" sec ", "Bytes ", "bits/sec", " ms ", "%)", "sender", "receiver", "[SUM]"];
    WORDS.iter().filter_map(|word| Some((row.find(word)?, *word))).collect()
}

/// The distinct layouts of the rows in a text.
fn layouts(text: &str) -> BTreeSet<Vec<(usize, &'static str)>> {
    // Rows of 0.00 bits/sec are skipped: their count of lost datagrams can be longer, which shifts the rest of the row.
    let rows = text.lines().filter(|line| line.contains(" sec ") && !line.contains("0.00 bits/sec"));
    rows.map(word_positions).collect()
}

#[test]
fn rows_align_with_columns_of_iperf3() {
    in_network_with_priority("rows_align_with_columns_of_iperf3", |network| {
        let modes =
            ["-t 1 -b 8M", "-t 1 -b 8M -P 2", "-t 1 -b 8M --bidir", "-u -b 2M -t 1", "-u -b 2M -t 1 -P 2"];
        for (port, mode) in (5770..).step_by(2).zip(modes) {
            // Up to three times: the columns differ if the last interval is very short or if a datagram is lost.
            up_to_three_times(|| {
                let [theirs, ours] = texts_of_both(network, port, mode);
                let [their_layouts, our_layouts] =
                    [&theirs, &ours].map(|[client, server]| [layouts(client), layouts(server)]);
                assert!(their_layouts[0].len() > 1, "{theirs:?}");
                if their_layouts == our_layouts {
                    Ok(())
                } else {
                    Err(format!("{mode}: {theirs:#?} {ours:#?}"))
                }
            });
        }
    });
}

/// The expected stream numbers are those of an iperf3 process that has no other open descriptors.
#[test]
fn stream_numbers_equal_those_of_iperf3() {
    in_network("stream_numbers_equal_those_of_iperf3", |network| {
        let modes = [("-t 1 -P 3", [&[5, 7, 9][..], &[5, 8, 10]]), ("-t 1 --bidir", [&[5, 7], &[5, 8]])];
        for (port, (mode, expected)) in (5791..).step_by(2).zip(modes) {
            let expected = expected.map(|numbers| numbers.iter().copied().collect::<BTreeSet<u64>>());
            for (report, expected) in reports(network, OURS, port, mode).iter().zip(&expected) {
                let mut found = BTreeMap::new();
                add_stream_numbers(report, String::new(), &mut found);
                for path in ["/start/connected[]", "/intervals[]/streams[]", "/end/streams[]/sender"] {
                    assert_eq!(&found[&format!("{path}/socket")], expected, "{mode}: {path} of {report}");
                }
            }
            for (text, expected) in texts(network, OURS, port + 1, mode).iter().zip(&expected) {
                for word in [" local ", " sec "] {
                    let lines = text.lines().filter(|line| line.contains(word));
                    let labels = lines.filter_map(|line| line.strip_prefix('[')?.split_once(']'));
                    let numbers = labels.filter_map(|(number, _)| number.trim().parse().ok());
                    assert_eq!(&numbers.collect::<BTreeSet<u64>>(), expected, "{mode}: {text}");
                }
            }
        }
    });
}

/// Adds the stream numbers of a document to `found`, by their path in the document.
fn add_stream_numbers(value: &Value, path: String, found: &mut BTreeMap<String, BTreeSet<u64>>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                add_stream_numbers(value, format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) => {
            for item in items {
                add_stream_numbers(item, format!("{path}[]"), found);
            }
        }
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

/// The text output of client and server, of an iperf3 test and of a net-traffic test.
fn texts_of_both(network: &TestNetwork, port: u16, mode: &str) -> [[String; 2]; 2] {
    [texts(network, IPERF3, port, mode), texts(network, OURS, port + 1, mode)]
}

/// The text output of client and server, both the same program.
fn texts(network: &TestNetwork, program: &str, port: u16, mode: &str) -> [String; 2] {
    let server = network.serve(End::There, program, port, "-1");
    let client = client(network, program, THERE, port, mode).end();
    [client.out, server.end().out]
}

/// The JSON documents of client and server, both the same program.
fn reports(network: &TestNetwork, program: &'static str, port: u16, mode: &str) -> [Value; 2] {
    Ends { client: program, server: program }.test(network, port, mode).into()
}

/// Asserts that `ours` has each key of `theirs`, with the same types, and no unknown key.
fn compare(case: &str, theirs: &Value, ours: &Value) {
    let (mut expected, mut found) = (BTreeMap::new(), BTreeMap::new());
    // A very short test may have no interval. Then there are no keys of intervals to compare.
    let has_no_interval = |report: &Value| report["intervals"].as_array().is_none_or(Vec::is_empty);
    let skipped = (has_no_interval(theirs) || has_no_interval(ours)).then_some("/intervals");
    add_types(theirs, String::new(), skipped, &mut expected);
    add_types(ours, String::new(), skipped, &mut found);
    for (path, types) in &expected {
        let ours = found.get(path);
        assert_eq!(ours, Some(types), "{case}: {path}");
    }
    let added: Vec<_> = found.keys().filter(|path| !expected.contains_key(*path)).collect();
    let is_known =
        |path: &str| ADDED_KEYS.iter().any(|known| path == *known || path.starts_with("/net_traffic/"));
    let unknown: Vec<_> = added.iter().filter(|path| !is_known(path)).collect();
    assert!(unknown.is_empty(), "{case}: {unknown:?}");
}

/// Adds each path in a document to `found`, with the types of its values. Integers and floats are one type. The path
/// `skipped` is left out.
fn add_types(
    value: &Value,
    path: String,
    skipped: Option<&str>,
    found: &mut BTreeMap<String, BTreeSet<&'static str>>,
) {
    if Some(path.as_str()) == skipped {
        return;
    }
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                add_types(value, format!("{path}/{key}"), skipped, found);
            }
        }
        Value::Array(items) => {
            for item in items {
                add_types(item, format!("{path}[]"), skipped, found);
            }
        }
        _ => {}
    }
    let type_name = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    found.entry(path).or_default().insert(type_name);
}
