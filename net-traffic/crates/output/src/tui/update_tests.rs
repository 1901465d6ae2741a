//! The effects of keys, clicks and other events.

use ratatui::crossterm::event::KeyEventState;

use super::*;
use crate::tui::hit_map::{ColumnHit, HitMap};
use net_traffic_view::{Options, RowId, Screen, TableId};

fn state() -> State {
    let mut state = State::new(Screen::Top, Options::default(), None, true);
    state.rows = 100;
    state.current = Some(RowId::Container("c1".to_owned()));
    state.hits = HitMap {
        tabs_line: 3,
        tabs: vec![0..10, 10..20, 20..30, 30..40],
        heading: 4,
        columns: vec![
            ColumnHit { key: "pid", range: 0..5 },
            ColumnHit { key: "process", range: 6..20 },
            ColumnHit { key: "rx_bps", range: 21..29 },
        ],
        hidden: 0,
        offset: 10,
        page: 18,
        lines: 50,
    };
    state
}

fn press(state: &mut State, code: KeyCode) -> Change {
    update(state, Event::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

fn control(state: &mut State, letter: char) -> Change {
    update(state, Event::Key(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL)))
}

fn type_text(state: &mut State, text: &str) {
    for letter in text.chars() {
        press(state, KeyCode::Char(letter));
    }
}

fn mouse(state: &mut State, kind: MouseEventKind, column: u16, row: u16) -> Change {
    update(state, Event::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
}

#[test]
fn q_quits_in_every_mode_but_filter() {
    for mode in [Mode::List, Mode::Help] {
        let mut state = State { mode, ..state() };
        assert_eq!(press(&mut state, KeyCode::Char('q')), Change::Quit);
        assert_eq!(control(&mut state, 'c'), Change::Quit);
    }
    let mut state = state();
    press(&mut state, KeyCode::Enter);
    assert_eq!(press(&mut state, KeyCode::Char('q')), Change::Quit);
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Char('/'));
    assert_eq!(press(&mut state, KeyCode::Char('q')), Change::Picture, "a letter of the filter");
    assert_eq!(control(&mut state, 'c'), Change::Quit);
    assert_eq!(update(&mut state, Event::Signal), Change::Quit);
}

#[test]
fn movement_keys_move_the_selection() {
    for (keys, selected) in [
        (vec![KeyCode::Char('j')], 51),
        (vec![KeyCode::Down], 51),
        (vec![KeyCode::Char('k')], 49),
        (vec![KeyCode::Up], 49),
        (vec![KeyCode::PageDown], 68),
        (vec![KeyCode::PageUp], 32),
        (vec![KeyCode::Char('g')], 0),
        (vec![KeyCode::Home], 0),
        (vec![KeyCode::Char('G')], 99),
        (vec![KeyCode::End], 99),
        (vec![KeyCode::End, KeyCode::Down, KeyCode::PageDown], 99),
        (vec![KeyCode::Home, KeyCode::Up, KeyCode::PageUp], 0),
    ] {
        let mut state = State { selected: 50, ..state() };
        for key in &keys {
            assert_eq!(press(&mut state, *key), Change::Frame);
        }
        assert_eq!(state.selected, selected, "{keys:?}");
    }
}

#[test]
fn empty_list_has_no_selection() {
    let mut state = State { rows: 0, current: None, ..state() };
    for key in [KeyCode::Down, KeyCode::End, KeyCode::PageDown, KeyCode::Up] {
        press(&mut state, key);
        assert_eq!(state.selected, 0);
    }
    assert_eq!(press(&mut state, KeyCode::Enter), Change::Nothing);
    assert_eq!(state.mode, Mode::List);
}

#[test]
fn tabs_wrap_around_and_reset_the_selection() {
    let mut state = State { selected: 50, ..state() };
    for tab in [TableId::Process, TableId::Container, TableId::Destination, TableId::Connection] {
        assert_eq!(press(&mut state, KeyCode::Tab), Change::Picture);
        assert_eq!((state.tab(), state.selected), (tab, 0));
    }
    press(&mut state, KeyCode::BackTab);
    assert_eq!(state.tab(), TableId::Destination);
    press(&mut state, KeyCode::BackTab);
    assert_eq!(state.tab(), TableId::Container);
    for (digit, tab) in [
        ('1', TableId::Connection),
        ('4', TableId::Destination),
        ('2', TableId::Process),
        ('3', TableId::Container),
    ] {
        assert_eq!(press(&mut state, KeyCode::Char(digit)), Change::Picture);
        assert_eq!(state.tab(), tab);
    }
    assert_eq!(press(&mut state, KeyCode::Char('3')), Change::Nothing);
    let mut bandwidth = State { screen: Screen::Bandwidth, ..state };
    assert_eq!(bandwidth.tab(), TableId::Interface);
    press(&mut bandwidth, KeyCode::Char('4'));
    assert_eq!(bandwidth.tab(), TableId::Interface, "there is no fourth list");
}

#[test]
fn s_sorts_by_each_column_then_none() {
    let mut state = state();
    for key in [Some("pid"), Some("process"), Some("rx_bps"), None, Some("pid")] {
        // After the last column, the list returns to its own order.
        assert_eq!(press(&mut state, KeyCode::Char('s')), Change::Picture);
        assert_eq!(state.options.sort.as_deref(), key);
    }
    assert_eq!(press(&mut state, KeyCode::Char('S')), Change::Picture);
    assert!(state.options.reverse);
    press(&mut state, KeyCode::Char('s'));
    assert!(!state.options.reverse, "a new sort column starts unreversed");
}

#[test]
fn heading_click_sorts_and_second_click_reverses() {
    let mut state = state();
    let left = MouseEventKind::Down(MouseButton::Left);
    assert_eq!(mouse(&mut state, left, 25, 4), Change::Picture);
    assert_eq!(state.options.sort.as_deref(), Some("rx_bps"));
    assert!(!state.options.reverse);
    mouse(&mut state, left, 25, 4);
    assert!(state.options.reverse);
    assert_eq!(mouse(&mut state, left, 20, 4), Change::Nothing, "between two columns");
    assert_eq!(mouse(&mut state, left, 35, 3), Change::Picture);
    assert_eq!(state.tab(), TableId::Destination);
    state.hits.offset = 10;
    assert_eq!(mouse(&mut state, left, 35, 7), Change::Frame);
    assert_eq!(state.selected, 12);
    assert_eq!(mouse(&mut state, left, 35, 23), Change::Nothing, "below the list");
    assert_eq!(mouse(&mut state, MouseEventKind::Moved, 35, 7), Change::Nothing);
}

#[test]
fn wheel_moves_selection_or_text() {
    let mut state = State { selected: 50, ..state() };
    mouse(&mut state, MouseEventKind::ScrollDown, 0, 0);
    assert_eq!(state.selected, 53);
    mouse(&mut state, MouseEventKind::ScrollUp, 0, 0);
    assert_eq!(state.selected, 50);
    press(&mut state, KeyCode::Char('?'));
    mouse(&mut state, MouseEventKind::ScrollDown, 0, 0);
    assert_eq!((state.selected, state.scroll), (50, 3));
    mouse(&mut state, MouseEventKind::ScrollUp, 0, 0);
    assert_eq!(state.scroll, 0);
}

#[test]
fn filter_applies_while_typed() {
    let mut state = state();
    assert_eq!(press(&mut state, KeyCode::Char('/')), Change::Frame);
    type_text(&mut state, "port:443 qst?");
    assert_eq!(state.options.filter, Filter::parse("port:443 qst?"));
    press(&mut state, KeyCode::Backspace);
    assert_eq!(state.options.filter.text(), "port:443 qst");
    press(&mut state, KeyCode::Enter);
    assert_eq!((&state.mode, state.options.filter.text()), (&Mode::List, "port:443 qst"));
    // Esc restores the previous filter while typing, and clears the filter in the list.
    press(&mut state, KeyCode::Char('/'));
    assert_eq!(control(&mut state, 'u'), Change::Picture);
    assert_eq!(state.options.filter.text(), "");
    type_text(&mut state, "udp");
    assert_eq!(press(&mut state, KeyCode::Esc), Change::Picture);
    assert_eq!((&state.mode, state.options.filter.text()), (&Mode::List, "port:443 qst"));
    assert_eq!(press(&mut state, KeyCode::Esc), Change::Picture);
    assert!(state.options.filter.is_empty());
    assert_eq!(press(&mut state, KeyCode::Esc), Change::Nothing);
}

#[test]
fn details_and_help_scroll_and_close() {
    let mut state = state();
    assert_eq!(press(&mut state, KeyCode::Enter), Change::Picture);
    assert_eq!(state.opened(), Some(&RowId::Container("c1".to_owned())));
    for (key, line) in [
        (KeyCode::Char('j'), 1),
        (KeyCode::Down, 2),
        (KeyCode::Char('k'), 1),
        (KeyCode::Up, 0),
        (KeyCode::PageDown, 18),
        (KeyCode::PageUp, 0),
        (KeyCode::Char('G'), 32),
        (KeyCode::End, 32),
        (KeyCode::Char('g'), 0),
        (KeyCode::Home, 0),
    ] {
        press(&mut state, key);
        assert_eq!(state.scroll, line, "{key:?}");
    }
    press(&mut state, KeyCode::Char('?'));
    assert_eq!(state.mode, Mode::Help);
    for leave in [KeyCode::Esc, KeyCode::Enter, KeyCode::Char('?')] {
        state.mode = Mode::Help;
        press(&mut state, leave);
        assert_eq!(state.mode, Mode::List);
    }
    assert_eq!(press(&mut state, KeyCode::Tab), Change::Picture, "the list has the keys again");
}

#[test]
fn space_t_and_r_pause_total_and_reset() {
    let mut state = state();
    assert_eq!(press(&mut state, KeyCode::Char(' ')), Change::Picture);
    assert!(state.paused);
    press(&mut state, KeyCode::Enter);
    press(&mut state, KeyCode::Char(' '));
    assert!(!state.paused, "also while a row is open");
    assert_eq!(press(&mut state, KeyCode::Char('r')), Change::Reset);
    press(&mut state, KeyCode::Esc);
    press(&mut state, KeyCode::Char('s'));
    assert_eq!(press(&mut state, KeyCode::Char('t')), Change::Picture);
    assert!(state.options.totals && state.options.sort.is_none());
    press(&mut state, KeyCode::Char('t'));
    assert!(!state.options.totals);
    assert_eq!(press(&mut state, KeyCode::Char('r')), Change::Reset);
}

#[test]
fn unbound_key_changes_nothing() {
    let mut state = state();
    for key in [KeyCode::Char('x'), KeyCode::F(1), KeyCode::Insert, KeyCode::Null] {
        assert_eq!(press(&mut state, key), Change::Nothing, "{key:?}");
    }
    assert_eq!(control(&mut state, 'z'), Change::Nothing);
    let released = KeyEvent {
        code: KeyCode::Char('q'),
        modifiers: KeyModifiers::NONE,
        kind: KeyEventKind::Release,
        state: KeyEventState::NONE,
    };
    assert_eq!(update(&mut state, Event::Key(released)), Change::Nothing);
    assert_eq!(update(&mut state, Event::Resize), Change::Frame);
    assert_eq!(update(&mut state, Event::Snapshot), Change::Picture);
    assert_eq!(update(&mut state, Event::End), Change::Frame);
    assert!(state.at_end);
}
