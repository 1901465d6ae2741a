//! Names of remote hosts: people read them in place of addresses, programs beside them, and both only with `--resolve`
//! or the key `d`.

use std::net::{Ipv4Addr, TcpListener, TcpStream};

use assert_cmd::Command;
use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::{Format, Output, Settings};
use net_traffic_snapshot::Replay;
use net_traffic_view::{Connections, Options, Screen, Top, View};

use crate::screen::TestScreen;
use net_traffic_testing::recording;

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
fn reports_contain_names_only_with_resolve() {
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
fn key_d_switches_names_and_addresses() {
    for size in [(80, 24), (140, 40)] {
        let mut screen = TestScreen::of(&recording("rates"), Screen::Top, size);
        screen.model.name_hosts(owned(&[(REMOTE, NAME)]));
        screen.frame();
        assert!(screen.text().contains(REMOTE) && !screen.text().contains("crawler"), "{}", screen.text());
        screen.press("d");
        let text = screen.text();
        assert!(text.contains("crawler-198-51-100-7.sear…:50123"), "{text}");
        assert!(!text.contains(REMOTE), "{text}");
        screen.press("4");
        assert!(screen.text().contains("crawler-198-51-100-7.sear…"), "{}", screen.text());
        // The details show the whole name and the address.
        for keys in ["1/crawler<Enter><Enter>", "<Esc>4<Enter>"] {
            screen.press(keys);
            assert!(screen.text().contains(NAME) && screen.text().contains(REMOTE), "{}", screen.text());
        }
        screen.press("<Esc>d");
        assert!(screen.text().contains(REMOTE) && !screen.text().contains("crawler-"), "{}", screen.text());
    }
}

#[test]
fn filter_matches_host_names() {
    let mut screen = TestScreen::of(&recording("rates"), Screen::Top, (100, 30));
    screen.model.name_hosts(owned(&[(REMOTE, NAME)]));
    for filter in ["/remote:Search.example<Enter>", "/search<Enter>"] {
        screen.press("d").press(filter);
        let text = screen.text();
        assert!(text.contains("Connections 2/7"), "{filter}\n{text}");
        assert_eq!(text.matches("crawler").count(), 2, "{filter}\n{text}");
        screen.press("d<Esc>");
    }
}

#[test]
fn unnamed_address_stays_whole_among_names() {
    let mut screen = TestScreen::of(&recording("ipv6"), Screen::Top, (80, 24));
    screen.model.name_hosts(Vec::new());
    let before = screen.text();
    screen.press("d");
    assert_eq!(before, screen.text());
    assert!(before.contains(IPV6) || before.contains("2001:db8:"), "{before}");
}

#[test]
fn single_report_contains_resolver_names() {
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
    assert!(plain.contains("127.0.0.1") && !plain.contains("remote_name"), "the last option wins: {plain}");
    drop((stream, listener));
}
