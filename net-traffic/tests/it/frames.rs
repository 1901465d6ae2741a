//! Frames of the full screen, hits from recordings into memory.

use net_traffic_model::{Bytes, Snapshot, Socket};
use net_traffic_view::Screen;
use ratatui::style::{Color, Modifier};

use crate::screen::TestScreen;
use net_traffic_testing::{endpoint, recording, recordings};

const SIZES: &[(u16, u16)] = &[(80, 24), (140, 40)];

#[test]
fn recordings_match_stored_frames() {
    for recording in recordings() {
        let name = recording.file_stem().unwrap().to_string_lossy().into_owned();
        for size in SIZES {
            let mut all = String::new();
            let mut top = TestScreen::of(&recording, Screen::Top, *size);
            for tab in ["1", "2", "3", "4"] {
                top.press(tab);
                add(&mut all, &format!("top {tab}"), &top);
            }
            let bandwidth = TestScreen::of(&recording, Screen::Bandwidth, *size);
            add(&mut all, "bandwidth", &bandwidth);
            check(&format!("{name}_{}x{}", size.0, size.1), &all);
        }
    }
}

#[test]
fn screen_modes_match_stored_frames() {
    for size in SIZES {
        let mut all = String::new();
        for (title, keys) in [
            ("help", "?"),
            ("connection", "<Enter>"),
            ("process", "2<Enter>"),
            ("container", "3<Enter>"),
            ("destination", "4<Enter>"),
            ("a filter while it is typed", "/port:443"),
            ("an empty filter", "/"),
            ("a filter that cannot be", "/port:http"),
            ("a filter in use", "/port:443 nginx<Enter>"),
            ("a filter that nothing meets", "/zzz<Enter>"),
            ("processes that have such a connection", "2/port:22<Enter>"),
            ("sorted by the second column", "ss"),
            ("sorted in reverse", "ssS"),
            ("totals", "t"),
            ("paused", " "),
            ("the last row", "G"),
        ] {
            let mut screen = TestScreen::of(&recording("rates"), Screen::Top, *size);
            screen.press(keys);
            add(&mut all, title, &screen);
        }
        for (title, keys) in [("interface", "<Enter>"), ("the other list", "2<Down>")] {
            let mut screen = TestScreen::of(&recording("rates"), Screen::Bandwidth, *size);
            screen.press(keys);
            add(&mut all, title, &screen);
        }
        check(&format!("ways_{}x{}", size.0, size.1), &all);
    }
}

#[test]
fn longest_address_is_shown_whole() {
    for size in [(80, 24), (100, 30), (140, 40)] {
        let mut screen = TestScreen::empty(Screen::Top, size, true);
        let longest = "2001:db8:1111:2222:3333:4444:5555:6666";
        screen.advance(Snapshot { sockets: vec![socket(1, longest, 65_535)], ..at(1) });
        let remote = format!("[{longest}]:65535");
        assert!(screen.text().contains(&remote), "{}", screen.text());
        screen.press("4");
        assert!(screen.text().contains(longest), "{}", screen.text());
        screen.press("1<Enter>");
        assert!(screen.text().contains(&remote), "{}", screen.text());
    }
}

#[test]
fn ended_connection_is_dim_for_five_snapshots() {
    let mut screen = TestScreen::empty(Screen::Top, (80, 24), true);
    let ended = Socket { closed: true, ..socket(2, "198.51.100.2", 80) };
    screen.advance(Snapshot {
        sockets: vec![socket(1, "198.51.100.1", 80), socket(2, "198.51.100.2", 80)],
        ..at(1)
    });
    screen.advance(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80), ended], ..at(2) });
    for second in 3..6 {
        assert!(modifiers(&screen, "198.51.100.2").contains(Modifier::DIM), "{}", screen.text());
        assert!(!modifiers(&screen, "198.51.100.1").contains(Modifier::DIM));
        screen.advance(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80)], ..at(second) });
    }
    for second in 6..9 {
        screen.advance(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80)], ..at(second) });
    }
    assert!(!screen.text().contains("198.51.100.2"), "{}", screen.text());
    screen.press("4");
    assert!(screen.text().contains("198.51.100.2"), "it stays in the totals\n{}", screen.text());
}

#[test]
fn screen_without_colour_uses_no_colour() {
    for (color, expected) in [(true, true), (false, false)] {
        for (kind, keys) in [
            (Screen::Top, ""),
            (Screen::Top, "?"),
            (Screen::Top, "<Enter>"),
            (Screen::Top, "/port:x"),
            (Screen::Bandwidth, ""),
        ] {
            let mut screen = TestScreen::of(&recording("rates"), kind, (80, 24));
            screen.state.color = color;
            screen.press(keys).frame();
            let cells = screen.buffer().content();
            let colored = cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert_eq!(colored, expected, "{kind:?} {keys}");
        }
    }
}

#[test]
fn small_terminal_shows_needed_size_until_it_grows() {
    let mut screen = TestScreen::of(&recording("rates"), Screen::Top, (79, 24));
    assert!(screen.text().contains("needs 80x24"), "{}", screen.text());
    for size in [(80, 23), (1, 1), (3, 300)] {
        screen.resize(size);
    }
    for size in [(80, 24), (300, 100), (81, 25), (200, 24), (80, 200)] {
        for kind in [Screen::Top, Screen::Bandwidth] {
            screen.state.screen = kind;
            screen.resize(size);
            assert!(screen.text().contains("web-1"), "{size:?}\n{}", screen.text());
        }
    }
}

#[test]
fn selected_row_stays_selected_while_order_changes() {
    let mut screen = TestScreen::empty(Screen::Top, (80, 24), true);
    let three = |busy: u64| {
        let bytes =
            move |id: u64, second: u64| Bytes { rx: if id == busy { 1000 * second } else { id }, tx: 0 };
        move |second| {
            (1..=3)
                .map(|id| Socket {
                    counted: Some(bytes(id, second)),
                    ..socket(id, &format!("198.51.100.{id}"), 80)
                })
                .collect::<Vec<_>>()
        }
    };
    screen.advance(Snapshot { sockets: three(1)(1), ..at(1) });
    screen.press("/198<Enter><Down>");
    let chosen = line_of_selection(&screen);
    for (second, busy) in [(2, 3), (3, 1), (4, 2), (5, 3)] {
        screen.advance(Snapshot { sockets: three(busy)(second), ..at(second) });
        assert_eq!(address_in(&line_of_selection(&screen)), address_in(&chosen), "{}", screen.text());
    }
    screen.press("g");
    screen.advance(Snapshot { sockets: three(2)(6), ..at(6) });
    assert_eq!(screen.state.selected, 0, "a selected first place stays the first place");
}

#[test]
fn details_of_a_dropped_row_report_its_end() {
    let mut screen = TestScreen::empty(Screen::Top, (80, 24), true);
    screen.advance(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80)], ..at(1) });
    screen.press("<Enter>");
    assert!(screen.text().contains("cookie"), "{}", screen.text());
    for second in 2..12 {
        screen.advance(at(second));
    }
    assert!(screen.text().contains("ended a while ago"), "{}", screen.text());
    screen.press("<Esc>");
    assert!(screen.text().contains("Nothing is connected."), "{}", screen.text());
}

#[test]
fn help_shows_remedies_and_limit_applies() {
    let mut screen = TestScreen::of(&recording("degraded"), Screen::Top, (140, 40));
    let remedy = screen.model.status().iter().find_map(|status| status.remedy.clone()).unwrap();
    let first_words: Vec<&str> = remedy.split_whitespace().take(4).collect();
    screen.press("?");
    assert!(screen.text().contains(&format!("remedy: {}", first_words.join(" "))), "{}", screen.text());
    screen.press("<Esc>");
    screen.state.options.limit = Some(2);
    screen.frame();
    assert!(screen.text().contains("Connections 2/4"), "{}", screen.text());
}

#[test]
fn reset_restarts_totals_on_screen() {
    let mut screen = TestScreen::of(&recording("rates"), Screen::Top, (140, 40));
    assert!(screen.text().contains("totals of 1s"), "{}", screen.text());
    screen.press("2");
    let app =
        |screen: &TestScreen| screen.text().lines().find(|line| line.contains("app")).map(str::to_owned);
    assert_eq!(app(&screen).unwrap().matches("977KiB").count(), 2, "rate and total\n{}", screen.text());
    screen.press("r");
    assert!(screen.text().contains("totals of 0s"), "{}", screen.text());
    assert_eq!(app(&screen).unwrap().matches("977KiB").count(), 1, "the rate\n{}", screen.text());
}

fn add(all: &mut String, title: &str, screen: &TestScreen) {
    all.extend(["=== ", title, " ===\n", &screen.text(), "\n"]);
}

fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("../snapshots/frames");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// The style modifiers of the row with this text.
fn modifiers(screen: &TestScreen, text: &str) -> Modifier {
    let lines = screen.text();
    let y = lines.lines().position(|line| line.contains(text)).unwrap();
    screen.buffer()[(0, u16::try_from(y).unwrap())].modifier
}

fn line_of_selection(screen: &TestScreen) -> String {
    let place = usize::from(screen.state.hits.heading) + 1 + screen.state.selected - screen.state.hits.offset;
    screen.text().lines().nth(place).unwrap().to_owned()
}

fn address_in(line: &str) -> String {
    line.split_whitespace().find(|word| word.starts_with("198.")).unwrap().to_owned()
}

fn at(second: u64) -> Snapshot {
    net_traffic_testing::snapshot(second)
}

fn socket(id: u64, remote: &str, port: u16) -> Socket {
    Socket {
        remote: Some(endpoint(remote, port)),
        counted: Some(Bytes { rx: id, tx: 0 }),
        ..net_traffic_testing::socket(id)
    }
}
