//! Names of remote hosts: in place of addresses where people read them, beside them where programs do, and nowhere
//! where nobody asked for them.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest")]
#[path = "support/screen.rs"]
mod screen;
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use assert_cmd::Command;
use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::{Format, Output, Settings};
use net_traffic_snapshot::Replay;
use net_traffic_view::{Connections, Options, Screen, Top, View};

use screen::TestScreen;
use support::recording;

const REMOTE: &str = "198.51.100.7";
const NAME: &str = "crawler-198-51-100-7.search.example";
const IPV6: &str = "2001:db8::2";

/// A model of the recording, with names or without.
fn model(name: &str, names: &[(&str, &str)]) -> Model {
    let mut model = Model::new(Selection::default(), Retention::default());
    let mut replay = Replay::open(&recording(name)).unwrap();
    while let Some(snapshot) = replay.snapshot().unwrap() {
        model.advance(snapshot);
    }
    if !names.is_empty() {
        model.name_hosts(owned(names));
    }
    model
}

fn owned(names: &[(&str, &str)]) -> Vec<(std::net::IpAddr, String)> {
    names.iter().map(|(address, name)| (address.parse().unwrap(), (*name).to_owned())).collect()
}

fn written(model: &Model, view: &dyn View, format: Format) -> String {
    let settings = Settings { format, units: None, header: true, color: false, width: None, series: false };
    let mut out = Vec::new();
    Output::new(settings).write(&mut out, &view.report(model, &Options::default())).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn reports_have_names_only_where_they_were_asked_for() {
    let (without, with) = (model("rates", &[]), model("rates", &[(REMOTE, NAME)]));
    for view in [&Connections as &dyn View, &Top] {
        let json: serde_json::Value = serde_json::from_str(&written(&with, view, Format::Json)).unwrap();
        let rows = json["connections"].as_array().unwrap();
        let named: Vec<_> = rows.iter().filter(|row| row["remote_name"] == NAME).collect();
        assert!(!named.is_empty() && named.iter().all(|row| row["remote"]["address"] == REMOTE), "{json}");
        assert!(rows.iter().any(|row| row["remote_name"].is_null()), "a host without a name is null");
        let hosts = json["destinations"].as_array().unwrap();
        assert!(hosts.iter().any(|row| row["address"] == REMOTE && row["name"] == NAME), "{json}");
        let plain = written(&without, view, Format::Json);
        assert!(!plain.contains("_name") && !plain.contains("\"name\":null"), "{plain}");
        for format in [Format::Table, Format::Markdown] {
            let (named, plain) = (written(&with, view, format), written(&without, view, format));
            assert!(named.contains(NAME) && !named.contains(&format!("{REMOTE}:")), "{named}");
            assert!(!plain.contains(NAME) && plain.contains(REMOTE), "{plain}");
        }
        let csv = written(&with, view, Format::Csv);
        assert!(csv.lines().next().unwrap().ends_with(",closed,remote_name"), "{csv}");
        assert!(csv.contains(&format!(",{NAME}\r\n")), "{csv}");
        assert!(written(&without, view, Format::Csv).lines().next().unwrap().ends_with(",closed"));
    }
    assert!(written(&with, &Connections, Format::Table).contains(&format!("{NAME}:50123")), "with its port");
}

#[test]
fn a_key_shows_names_or_numbers() {
    for size in [(80, 24), (140, 40)] {
        let mut shown = TestScreen::of(&recording("rates"), Screen::Top, size);
        shown.model.name_hosts(owned(&[(REMOTE, NAME)]));
        shown.frame();
        assert!(shown.text().contains(REMOTE) && !shown.text().contains("crawler"), "{}", shown.text());
        shown.press("d");
        let text = shown.text();
        assert!(text.contains("crawler-198-51-100-7.sear…:50123"), "{text}");
        assert!(!text.contains(REMOTE), "{text}");
        shown.press("4");
        assert!(shown.text().contains("crawler-198-51-100-7.sear…"), "{}", shown.text());
        // What is cut in the list is whole in the details, beside the address.
        for keys in ["1/crawler<Enter><Enter>", "<Esc>4<Enter>"] {
            shown.press(keys);
            assert!(shown.text().contains(NAME) && shown.text().contains(REMOTE), "{}", shown.text());
        }
        shown.press("<Esc>d");
        assert!(shown.text().contains(REMOTE) && !shown.text().contains("crawler-"), "{}", shown.text());
    }
}

#[test]
fn a_filter_finds_names() {
    let mut shown = TestScreen::of(&recording("rates"), Screen::Top, (100, 30));
    shown.model.name_hosts(owned(&[(REMOTE, NAME)]));
    for filter in ["/remote:Search.example<Enter>", "/search<Enter>"] {
        shown.press("d").press(filter);
        let text = shown.text();
        assert!(text.contains("Connections 2/7"), "{filter}\n{text}");
        assert_eq!(text.matches("crawler").count(), 2, "{filter}\n{text}");
        shown.press("d<Esc>");
    }
}

#[test]
fn an_address_without_a_name_stays_whole_among_names() {
    let mut shown = TestScreen::of(&recording("ipv6"), Screen::Top, (80, 24));
    shown.model.name_hosts(Vec::new());
    let before = shown.text();
    shown.press("d");
    assert_eq!(before, shown.text());
    assert!(before.contains(IPV6) || before.contains("2001:db8:"), "{before}");
}

#[test]
fn the_system_s_names_are_in_a_single_report() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let pid = std::process::id().to_string();
    let listed = |arguments: &[&str]| {
        let output = Command::new(assert_cmd::cargo::cargo_bin!("net-traffic"))
            .args(["connections", "--json", "-t", "-p", &pid])
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let named = listed(&["-n", "--resolve"]);
    assert!(named.contains("\"remote_name\":\"localhost"), "{named}");
    let plain = listed(&["--resolve", "-n"]);
    assert!(plain.contains("127.0.0.1") && !plain.contains("remote_name"), "the last word counts: {plain}");
    drop((stream, listener));
}
