//! The row filter of the screen (key `/`): the rows that it keeps in each table, and its rules for arbitrary filter
//! texts.

use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::format;
use net_traffic_snapshot::Replay;
use net_traffic_snapshot::{Snapshot, State};
use net_traffic_testing::recording;
use net_traffic_view::{Filter, Options, PREFIXES, Screen, TableId, live};
use proptest::prelude::*;

/// The last snapshot of a recording, and the model after all snapshots.
fn replayed(name: &str) -> (Snapshot, Model) {
    let mut replay = Replay::open(&recording(name)).unwrap();
    let mut model = Model::new(Selection::default(), Retention::default());
    let mut last = Snapshot::default();
    while let Some(snapshot) = replay.snapshot().unwrap() {
        model.advance(snapshot.clone());
        last = snapshot;
    }
    (last, model)
}

/// The rows of a table that match the filter. A row is its cells, separated by spaces.
fn rows(model: &Model, table: TableId, filter: &str) -> Vec<String> {
    let options = Options { table: Some(table), filter: Filter::parse(filter), ..Options::default() };
    let shown = live(model, Screen::Top, &options);
    let row = |index| {
        let texts: Vec<String> =
            shown.rows.cells(index).iter().map(|value| format::value(*value, None)).collect();
        texts.join(" ")
    };
    (0..shown.rows.len()).map(row).collect()
}

fn count(model: &Model, table: TableId, filter: &str) -> usize {
    rows(model, table, filter).len()
}

#[test]
fn criteria_keep_matching_connections() {
    let (_, model) = replayed("rates");
    assert_eq!(count(&model, TableId::Connection, ""), 7);
    for (filter, expected) in [
        ("port:443", 3),
        ("port:443,22", 4),
        ("port:443 port:22", 4),
        ("port:50999", 1),
        ("port:443 remote:198.51.100.7", 2),
        ("remote:198.51.100.0/24", 3),
        ("remote:198.51", 3),
        ("remote:2001:db8::/32", 0),
        ("process:NGINX", 2),
        ("process:nginx process:sshd", 3),
        ("process:812", 2),
        ("process:systemd-resolve", 2),
        ("state:time-wait", 1),
        ("state:TIME_WAIT", 1),
        ("state:estab", 5),
        ("state:unconn", 1),
        ("container:web", 1),
        ("container:f3b1", 1),
        ("udp", 2),
        ("nginx 8:5", 1),
        ("nginx udp", 0),
        ("172.17.0.2:8080", 1),
        ("www-data", 2),
        ("900", 1),
        ("port:", 7),
        ("port:http", 7),
        (":", 7),
    ] {
        assert_eq!(
            count(&model, TableId::Connection, filter),
            expected,
            "{filter}: {:#?}",
            rows(&model, TableId::Connection, filter)
        );
    }
}

#[test]
fn other_tables_keep_rows_with_matching_connections() {
    let (_, model) = replayed("rates");
    for (table, filter, expected) in [
        (TableId::Process, "", 5),
        // Two rows: nginx, and the sockets without an owner.
        (TableId::Process, "port:443", 2),
        (TableId::Process, "state:unconn", 1),
        (TableId::Process, "process:ssh", 1),
        (TableId::Process, "container:web", 1),
        (TableId::Process, "root", 1),
        (TableId::Container, "process:app", 1),
        (TableId::Container, "process:nginx", 0),
        (TableId::Container, "docker", 1),
        (TableId::Destination, "", 5),
        (TableId::Destination, "port:443", 2),
        (TableId::Destination, "process:sshd", 1),
        (TableId::Destination, "203.0", 1),
    ] {
        assert_eq!(
            count(&model, table, filter),
            expected,
            "{table:?} {filter}: {:#?}",
            rows(&model, table, filter)
        );
    }
}

#[test]
fn filter_keeps_its_text_and_reports_invalid_values() {
    let filter = Filter::parse("  port:80 http ");
    assert_eq!((filter.text(), filter.problem(), filter.is_empty()), ("  port:80 http ", None, false));
    assert_eq!(Filter::parse("port:65536").problem(), Some("'65536' is no port"));
    assert!(Filter::parse(" ").is_empty() && Filter::parse("port:x").is_empty());
}

/// Filter texts: words, prefixes with values, and arbitrary characters.
fn filter_text() -> impl Strategy<Value = String> {
    let value = prop_oneof!["[a-z0-9.:/,]{0,12}", "[0-9]{1,5}", any::<String>()];
    let word = prop_oneof![
        (prop::sample::select(PREFIXES), value).prop_map(|(prefix, value)| format!("{prefix}:{value}")),
        prop::sample::select(vec!["nginx", "udp", "198", "estab"]).prop_map(str::to_owned),
        any::<String>(),
    ];
    prop::collection::vec(word, 0..5).prop_map(|words| words.join(" "))
}

proptest! {
    #[test]
    fn arbitrary_filter_only_removes_rows(text in filter_text()) {
        let (_, model) = replayed("rates");
        let filter = Filter::parse(&text);
        prop_assert_eq!(filter.text(), text.as_str());
        for table in Screen::Top.tabs() {
            let all = rows(&model, *table, "");
            let kept = rows(&model, *table, &text);
            prop_assert!(kept.iter().all(|row| all.contains(row)));
            if Filter::parse(&text).is_empty() {
                prop_assert_eq!(all, kept);
            }
        }
    }

    #[test]
    fn additional_word_never_adds_rows(text in filter_text(), word in "[a-z0-9]{1,4}") {
        let (_, model) = replayed("rates");
        let before = rows(&model, TableId::Connection, &text);
        let after = rows(&model, TableId::Connection, &format!("{text} {word}"));
        prop_assert!(after.iter().all(|row| before.contains(row)));
    }

    #[test]
    fn port_filter_keeps_exactly_its_sockets(port in prop_oneof![any::<u16>(), Just(443), Just(22), Just(53)]) {
        let (snapshot, model) = replayed("rates");
        let is_expected = |socket: &&net_traffic_snapshot::Socket| {
            let shown = socket.remote.is_some() || socket.counted.is_some_and(|bytes| bytes.rx + bytes.tx > 0);
            shown
                && socket.state != State::Listen
                && (socket.local.port == port || socket.remote.is_some_and(|remote| remote.port == port))
        };
        let expected = snapshot.sockets.iter().filter(is_expected).count();
        prop_assert_eq!(count(&model, TableId::Connection, &format!("port:{port}")), expected);
    }
}
