//! Converts riperf3's JSON document to iperf3's: the program's name, the stream numbers, and the time that the server has
//! sent. Everything else is unchanged. Pure.

use serde_json::Value;

use super::end_observer::EndObserver;
use super::labels;

/// Converts a whole document of several lines.
pub(super) fn as_iperf3_has_it(document: &str, observer: EndObserver) -> String {
    let served = Served::of(document, observer);
    let mut path = KeyPath::default();
    let mut nth = 0;
    let lines = document.lines().map(|line| {
        path.advance(line);
        if let ["end", "streams", "sender" | "udp"] = path.keys().as_slice() {
            nth += 1;
        }
        let seconds = served.as_ref().and_then(|served| served.seconds_at(&path, nth, line));
        seconds.unwrap_or_else(|| labels::in_document(line, observer.is_local()))
    });
    in_our_name(&lines.collect::<Vec<_>>().join("\n"))
}

/// Repaths riperf3's name. Scripts parse an iperf version there; the document has at least the keys of 3.12.
pub(super) fn in_our_name(document: &str) -> String {
    const KEY: &str = r#""version": ""#;
    let Some((before, rest)) = document.split_once(concat!(r#""version": ""#, "riperf3")) else {
        return document.to_owned();
    };
    let after = rest.split_once('"').map_or("", |(_, after)| after);
    format!("{before}{KEY}iperf 3.12 (net-traffic {})\"{after}", env!("CARGO_PKG_VERSION"))
}

/// The streams that the server has sent, if their time differs from the document's.
struct Served {
    /// Whether the server has sent each stream.
    streams: Vec<bool>,
    sums: [&'static str; 2],
    seconds: f64,
    /// The ratio of the reported time to `seconds`.
    factor: f64,
}

impl Served {
    fn of(document: &str, observer: EndObserver) -> Option<Self> {
        let report: Value = serde_json::from_str(document).ok()?;
        let asked = report.pointer("/start/test_start")?;
        let is_set = |key: &str| asked[key].as_u64() == Some(1);
        let sums = match (is_set("reverse"), is_set("bidir")) {
            (true, _) => ["sum_sent", "sum"],
            (_, true) => ["sum_sent_bidir_reverse", "sum_bidir_reverse"],
            (false, false) => return None,
        };
        let streams = report.pointer("/end/streams")?.as_array()?.iter();
        let sent_here = |stream: &Value| Some(stream.get("sender").or(stream.get("udp"))?["sender"] == true);
        let streams = streams.map(|stream| sent_here(stream) == Some(observer.is_local())).collect();
        let reported = report["end"][sums[0]]["seconds"].as_f64().filter(|seconds| *seconds > 0.0)?;
        let last = report["intervals"].as_array()?.last();
        let last = last.and_then(|last| last.pointer("/streams/0/end")?.as_f64()).unwrap_or(0.0);
        // A failed test has no data from the other side.
        let seconds = if report.get("error").is_some() { reported } else { observer.seconds(reported, last) };
        (seconds > reported).then_some(Self { streams, sums, seconds, factor: reported / seconds })
    }

    /// The line with the corrected seconds or rate. `nth` counts the streams from 1.
    fn seconds_at(&self, path: &KeyPath<'_>, nth: usize, line: &str) -> Option<String> {
        let is_served = nth.checked_sub(1).and_then(|at| self.streams.get(at)) == Some(&true);
        let key = match path.keys().as_slice() {
            ["end", "streams", "sender" | "udp", key] if is_served => *key,
            ["end", sum, key] if self.sums.contains(sum) => *key,
            _ => return None,
        };
        let (before, number) = line.split_once(": ")?;
        let value = match key {
            "end" | "seconds" => self.seconds,
            "bits_per_second" => number.trim_end_matches(',').parse::<f64>().ok()? * self.factor,
            _ => return None,
        };
        Some(format!("{before}: {value}{}", if number.ends_with(',') { "," } else { "" }))
    }
}

/// The path of a line in the document: the keys above, by their indentation, and its own.
#[derive(Default)]
struct KeyPath<'d>(Vec<(usize, &'d str)>);

impl<'d> KeyPath<'d> {
    fn advance(&mut self, line: &'d str) {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        self.0.retain(|(above, _)| *above < indent);
        if let Some((key, _)) = text.strip_prefix('"').and_then(|text| text.split_once("\": ")) {
            self.0.push((indent, key));
        }
    }

    fn keys(&self) -> Vec<&'d str> {
        self.0.iter().map(|(_, key)| *key).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const TIMED: EndObserver = EndObserver::Remote { after_time: true };

    fn side(socket: u32, sender: bool) -> Value {
        json!({ "socket": socket, "end": 1, "seconds": 1, "bytes": 1_100_000, "bits_per_second": 8_800_000.0, "sender": sender })
    }

    fn report(reverse: u32, bidir: u32, sender: bool) -> String {
        let mut report = json!({
            "start": { "version": "riperf3 0.8.0", "test_start": { "reverse": reverse, "bidir": bidir } },
            "intervals": [{ "streams": [{ "socket": 1, "end": 1.1 }] }],
            "end": {
                "streams": [{ "sender": side(1, sender), "receiver": side(1, sender) }],
                "sum_sent": side(0, sender),
                "sum_received": side(0, sender),
            },
        });
        if bidir == 1 {
            let other = json!({ "sender": side(3, !sender), "receiver": side(3, !sender) });
            report["end"]["streams"].as_array_mut().unwrap().push(other);
            report["end"]["sum_sent_bidir_reverse"] = side(0, !sender);
        }
        serde_json::to_string_pretty(&report).unwrap()
    }

    fn after(document: &str, observer: EndObserver) -> Value {
        serde_json::from_str(&as_iperf3_has_it(document, observer)).unwrap()
    }

    /// Seconds and megabits per second.
    fn rate(report: &Value, path: &str) -> (f64, f64) {
        let number = |key: &str| report.pointer(&format!("/end/{path}/{key}")).unwrap().as_f64().unwrap();
        assert!((number("end") - number("seconds")).abs() < f64::EPSILON);
        (number("seconds"), (number("bits_per_second") / 1e5).round() / 10.0)
    }

    #[test]
    fn server_rate_extends_to_the_received_end() {
        for (observer, sender) in [(TIMED, false), (EndObserver::Local, true)] {
            let report = after(&report(1, 0, sender), observer);
            for (path, expected) in [
                ("streams/0/sender", (1.1, 8.0)),
                ("streams/0/receiver", (1.0, 8.8)),
                ("sum_sent", (1.1, 8.0)),
                ("sum_received", (1.0, 8.8)),
            ] {
                assert_eq!(rate(&report, path), expected, "{observer:?} {path}");
            }
        }
    }

    #[test]
    fn bidirectional_test_changes_only_server_streams() {
        for (observer, sender) in [(TIMED, true), (EndObserver::Local, false)] {
            let report = after(&report(0, 1, sender), observer);
            for (path, seconds) in [
                ("streams/0/sender", 1.0),
                ("streams/1/sender", 1.1),
                ("streams/1/receiver", 1.0),
                ("sum_sent", 1.0),
                ("sum_sent_bidir_reverse", 1.1),
            ] {
                assert!((rate(&report, path).0 - seconds).abs() < 1e-9, "{observer:?} {path}");
            }
        }
    }

    #[test]
    fn client_streams_and_sized_tests_are_unchanged() {
        let sockets = |report: &Value| report["end"]["streams"][0]["sender"]["socket"].clone();
        for (document, observer) in
            [(report(0, 0, true), TIMED), (report(1, 0, false), EndObserver::Remote { after_time: false })]
        {
            let report = after(&document, observer);
            assert_eq!(rate(&report, "sum_sent"), (1.0, 8.8));
            assert_eq!(sockets(&report), 5);
        }
    }

    #[test]
    fn document_has_iperf_version_and_program_name() {
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            in_our_name("{\n  \"start\": {\n    \"version\": \"riperf3 0.8.0\",\n    \"x\": 1\n  }\n}"),
            format!(
                "{{\n  \"start\": {{\n    \"version\": \"iperf 3.12 (net-traffic {version})\",\n    \"x\": 1\n  }}\n}}"
            )
        );
        assert_eq!(in_our_name("{}"), "{}");
    }
}
