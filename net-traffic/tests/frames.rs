//! Frames of the full screen, hits from recordings into memory.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/screen.rs"]
mod screen;
#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use net_traffic_model::{Bytes, Endpoint, Protocol, Snapshot, Socket, SocketId, State as SocketState, Time};
use net_traffic_view::Screen;
use ratatui::style::{Color, Modifier};

use screen::TestScreen;
use support::{recording, recordings};

const SIZES: &[(u16, u16)] = &[(80, 24), (140, 40)];

#[test]
fn every_recording_gives_the_frames_that_were_agreed() {
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
fn every_way_to_look_gives_the_frame_that_was_agreed() {
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
            let mut shown = TestScreen::of(&recording("rates"), Screen::Top, *size);
            shown.press(keys);
            add(&mut all, title, &shown);
        }
        for (title, keys) in [("interface", "<Enter>"), ("the other list", "2<Down>")] {
            let mut shown = TestScreen::of(&recording("rates"), Screen::Bandwidth, *size);
            shown.press(keys);
            add(&mut all, title, &shown);
        }
        check(&format!("ways_{}x{}", size.0, size.1), &all);
    }
}

#[test]
fn addresses_are_never_cut() {
    for size in [(80, 24), (100, 30), (140, 40)] {
        let mut shown = TestScreen::empty(Screen::Top, size, true);
        let longest = "2001:db8:1111:2222:3333:4444:5555:6666";
        shown.take(Snapshot { sockets: vec![socket(1, longest, 65_535)], ..at(1) });
        let remote = format!("[{longest}]:65535");
        assert!(shown.text().contains(&remote), "{}", shown.text());
        shown.press("4");
        assert!(shown.text().contains(longest), "{}", shown.text());
        shown.press("1<Enter>");
        assert!(shown.text().contains(&remote), "{}", shown.text());
    }
}

#[test]
fn what_has_ended_is_dim_and_stays_for_a_while() {
    let mut shown = TestScreen::empty(Screen::Top, (80, 24), true);
    let ended = Socket { closed: true, ..socket(2, "198.51.100.2", 80) };
    shown.take(Snapshot {
        sockets: vec![socket(1, "198.51.100.1", 80), socket(2, "198.51.100.2", 80)],
        ..at(1)
    });
    shown.take(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80), ended], ..at(2) });
    for second in 3..6 {
        assert!(modifiers(&shown, "198.51.100.2").contains(Modifier::DIM), "{}", shown.text());
        assert!(!modifiers(&shown, "198.51.100.1").contains(Modifier::DIM));
        shown.take(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80)], ..at(second) });
    }
    for second in 6..9 {
        shown.take(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80)], ..at(second) });
    }
    assert!(!shown.text().contains("198.51.100.2"), "{}", shown.text());
    shown.press("4");
    assert!(shown.text().contains("198.51.100.2"), "it stays in the totals\n{}", shown.text());
}

#[test]
fn without_colours_there_are_none() {
    for (color, expected) in [(true, true), (false, false)] {
        for (screen, keys) in [
            (Screen::Top, ""),
            (Screen::Top, "?"),
            (Screen::Top, "<Enter>"),
            (Screen::Top, "/port:x"),
            (Screen::Bandwidth, ""),
        ] {
            let mut shown = TestScreen::of(&recording("rates"), screen, (80, 24));
            shown.state.color = color;
            shown.press(keys).frame();
            let cells = shown.buffer().content();
            let colored = cells.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset);
            assert_eq!(colored, expected, "{screen:?} {keys}");
        }
    }
}

#[test]
fn a_terminal_that_is_too_small_is_told_so_and_may_grow() {
    let mut shown = TestScreen::of(&recording("rates"), Screen::Top, (79, 24));
    assert!(shown.text().contains("needs 80x24"), "{}", shown.text());
    for size in [(80, 23), (1, 1), (3, 300)] {
        shown.resize(size);
    }
    for size in [(80, 24), (300, 100), (81, 25), (200, 24), (80, 200)] {
        for screen in [Screen::Top, Screen::Bandwidth] {
            shown.state.screen = screen;
            shown.resize(size);
            assert!(shown.text().contains("web-1"), "{size:?}\n{}", shown.text());
        }
    }
}

#[test]
fn the_chosen_row_stays_chosen_while_the_list_changes() {
    let mut shown = TestScreen::empty(Screen::Top, (80, 24), true);
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
    shown.take(Snapshot { sockets: three(1)(1), ..at(1) });
    shown.press("/198<Enter><Down>");
    let chosen = line_of_selection(&shown);
    for (second, busy) in [(2, 3), (3, 1), (4, 2), (5, 3)] {
        shown.take(Snapshot { sockets: three(busy)(second), ..at(second) });
        assert_eq!(address_in(&line_of_selection(&shown)), address_in(&chosen), "{}", shown.text());
    }
    shown.press("g");
    shown.take(Snapshot { sockets: three(2)(6), ..at(6) });
    assert_eq!(shown.state.selected, 0, "who chose the first sees the first");
}

#[test]
fn a_row_that_is_forgotten_while_it_is_open_says_so() {
    let mut shown = TestScreen::empty(Screen::Top, (80, 24), true);
    shown.take(Snapshot { sockets: vec![socket(1, "198.51.100.1", 80)], ..at(1) });
    shown.press("<Enter>");
    assert!(shown.text().contains("cookie"), "{}", shown.text());
    for second in 2..12 {
        shown.take(at(second));
    }
    assert!(shown.text().contains("ended a while ago"), "{}", shown.text());
    shown.press("<Esc>");
    assert!(shown.text().contains("Nothing is connected."), "{}", shown.text());
}

#[test]
fn help_names_the_remedy_and_flags_hold_here_too() {
    let mut shown = TestScreen::of(&recording("degraded"), Screen::Top, (140, 40));
    let remedy = shown.model.status().iter().find_map(|status| status.remedy.clone()).unwrap();
    let first_words: Vec<&str> = remedy.split_whitespace().take(4).collect();
    shown.press("?");
    assert!(shown.text().contains(&format!("remedy: {}", first_words.join(" "))), "{}", shown.text());
    shown.press("<Esc>");
    shown.state.options.limit = Some(2);
    shown.frame();
    assert!(shown.text().contains("Connections 2/4"), "{}", shown.text());
}

#[test]
fn a_reset_is_seen() {
    let mut shown = TestScreen::of(&recording("rates"), Screen::Top, (140, 40));
    assert!(shown.text().contains("totals of 1s"), "{}", shown.text());
    shown.press("2");
    let app = |shown: &TestScreen| shown.text().lines().find(|line| line.contains("app")).map(str::to_owned);
    assert_eq!(app(&shown).unwrap().matches("977KiB").count(), 2, "rate and total\n{}", shown.text());
    shown.press("r");
    assert!(shown.text().contains("totals of 0s"), "{}", shown.text());
    assert_eq!(app(&shown).unwrap().matches("977KiB").count(), 1, "the rate\n{}", shown.text());
}

fn add(all: &mut String, title: &str, shown: &TestScreen) {
    all.extend(["=== ", title, " ===\n", &shown.text(), "\n"]);
}

fn check(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots/frames");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// How the row with this text looks.
fn modifiers(shown: &TestScreen, text: &str) -> Modifier {
    let lines = shown.text();
    let y = lines.lines().position(|line| line.contains(text)).unwrap();
    shown.buffer()[(0, u16::try_from(y).unwrap())].modifier
}

fn line_of_selection(shown: &TestScreen) -> String {
    let place = usize::from(shown.state.hits.heading) + 1 + shown.state.selected - shown.state.hits.offset;
    shown.text().lines().nth(place).unwrap().to_owned()
}

fn address_in(line: &str) -> String {
    line.split_whitespace().find(|word| word.starts_with("198.")).unwrap().to_owned()
}

fn at(second: u64) -> Snapshot {
    let time = Time { unix_ns: 1_769_860_800_000_000_000, monotonic_ns: second * 1_000_000_000 };
    Snapshot { at: time, host: "web-1".to_owned(), ..Snapshot::default() }
}

fn socket(id: u64, remote: &str, port: u16) -> Socket {
    Socket {
        id: SocketId(id),
        protocol: Protocol::Tcp,
        local: Endpoint { address: "192.0.2.1".parse().unwrap(), port: 443 },
        remote: Some(Endpoint { address: remote.parse().unwrap(), port }),
        state: SocketState::Established,
        netns: None,
        ifindex: None,
        owner: None,
        uid: None,
        inode: None,
        lifetime: None,
        counted: Some(Bytes { rx: id, tx: 0 }),
        tcp: None,
        rx_queue: None,
        tx_queue: None,
        opened_ns: None,
        closed: false,
    }
}
