//! Every recording in every view and every format. A new case is a new file in `recordings`.

use std::path::Path;

use net_traffic_model::{Model, Retention, Selection};
use net_traffic_output::{Format, Output, Settings};
use net_traffic_snapshot::Replay;
use net_traffic_testing::{recording, schema};
use net_traffic_view::{Connections, Options, Run, VIEWS, View};

const FORMATS: &[(&str, Format, Option<u16>)] = &[
    ("table", Format::Table, None),
    ("table, 80 columns", Format::Table, Some(80)),
    ("markdown", Format::Markdown, None),
    ("json", Format::Json, None),
    ("csv", Format::Csv, None),
];

#[test]
fn recordings_match_stored_reports() {
    let recordings = net_traffic_testing::recordings();
    assert!(!recordings.is_empty());
    for recording in recordings {
        for view in VIEWS.iter().copied().chain([&Run { exit_status: 130 } as &dyn View]) {
            check(&recording, view);
        }
    }
}

#[test]
fn narrow_terminal_wraps_addresses_whole() {
    let text = written(&recording("ipv6"), &Connections, Format::Table, Some(80));
    let joined: String = text.split_whitespace().collect();
    // The address wraps within its cell.
    for part in ["2001:db8", "fffe", "65535"] {
        assert!(joined.contains(part), "{part} is missing in\n{text}");
    }
    assert!(!text.contains("..."), "something was cut in\n{text}");
}

#[test]
fn report_without_colour_has_no_escape() {
    let report_with = |color| {
        let model = Model::default();
        let mut bytes = Vec::new();
        let settings = Settings { color, ..settings(Format::Table, Some(80)) };
        Output::new(settings).write(&mut bytes, &Connections.report(&model, &Options::default())).unwrap();
        bytes
    };
    assert!(report_with(true).contains(&0x1b));
    assert!(!report_with(false).contains(&0x1b));
}

/// Compares the reports of all formats with the stored ones.
fn check(recording: &Path, view: &dyn View) {
    let name = format!("{}_{}", recording.file_stem().unwrap().to_string_lossy(), view.name());
    let mut all = String::new();
    for (title, format, width) in FORMATS {
        let text = written(recording, view, *format, *width);
        if *format == Format::Json {
            text.lines().for_each(schema::check);
        }
        all.extend(["=== ", title, " ===\n", &text.replace('\r', ""), "\n"]);
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, all));
}

fn settings(format: Format, width: Option<u16>) -> Settings {
    Settings { format, units: None, header: true, color: false, width, series: true }
}

/// The reports of all snapshots of the recording.
fn written(recording: &Path, view: &dyn View, format: Format, width: Option<u16>) -> String {
    let mut replay = Replay::open(recording).unwrap();
    let retention = if view.name() == "run" { Retention::for_run() } else { Retention::default() };
    let mut model = Model::new(Selection::default(), retention);
    let mut output = Output::new(settings(format, width));
    let mut bytes = Vec::new();
    let options = Options { brief: matches!(format, Format::Table | Format::Markdown), ..Options::default() };
    while let Some(snapshot) = replay.snapshot().unwrap() {
        model.advance(snapshot);
        output.write(&mut bytes, &view.report(&model, &options)).unwrap();
    }
    String::from_utf8(bytes).unwrap()
}
