//! Changes the state by keys, clicks and other events. Pure.

use ratatui::crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};

use super::state::{Change, Event, Mode, State};
use net_traffic_view::{Filter, RateSeries};

/// Applies the event to the state.
pub fn update(state: &mut State, event: Event) -> Change {
    match event {
        Event::Snapshot => {
            state.fresh = true;
            Change::Picture
        }
        Event::End => {
            state.at_end = true;
            Change::Frame
        }
        Event::Names => Change::Picture,
        Event::Resize => Change::Frame,
        Event::Signal => Change::Quit,
        Event::Mouse(mouse) => on_mouse(state, mouse),
        Event::Key(key) if key.kind == KeyEventKind::Release => Change::Nothing,
        Event::Key(key) => on_key(state, key),
    }
}

fn on_key(state: &mut State, key: KeyEvent) -> Change {
    if key.modifiers.contains(KeyModifiers::CONTROL) {
        return match key.code {
            KeyCode::Char('c') => Change::Quit,
            KeyCode::Char('u') if matches!(state.mode, Mode::Filter { .. }) => filter(state, ""),
            _ => Change::Nothing,
        };
    }
    match state.mode {
        Mode::Filter { .. } => filter_key(state, key.code),
        Mode::Help | Mode::Details { .. } => text_key(state, key.code),
        Mode::List => list_key(state, key.code),
    }
}

fn list_key(state: &mut State, key: KeyCode) -> Change {
    let page = state.hits.page.max(1);
    match key {
        KeyCode::Char('q') => Change::Quit,
        KeyCode::Char('?') => enter(state, Mode::Help),
        KeyCode::Char('/') => {
            let before = state.options.filter.clone();
            enter(state, Mode::Filter { before })
        }
        KeyCode::Esc if !state.options.filter.text().is_empty() => filter(state, ""),
        KeyCode::Enter => match state.current.clone() {
            Some(id) => {
                enter(state, Mode::Details { id, trace: RateSeries::default() });
                // The trace starts with the current rates.
                state.fresh = true;
                Change::Picture
            }
            None => Change::Nothing,
        },
        KeyCode::Tab => go_to_tab(state, 1),
        KeyCode::BackTab => go_to_tab(state, -1),
        KeyCode::Char(digit @ '1'..='4') => {
            let place = digit as usize - '1' as usize;
            match state.screen.tabs().get(place) {
                Some(tab) if *tab != state.tab() => {
                    state.options.table = Some(*tab);
                    changed_list(state)
                }
                _ => Change::Nothing,
            }
        }
        KeyCode::Char('s') => {
            let keys: Vec<&'static str> = state.hits.columns.iter().map(|column| column.key).collect();
            let now = state.options.sort.as_deref().and_then(|now| keys.iter().position(|key| *key == now));
            let next = now.map_or(0, |now| now + 1);
            sort(state, keys.get(next).copied())
        }
        KeyCode::Char('S') => {
            state.options.reverse = !state.options.reverse;
            Change::Picture
        }
        KeyCode::Char('t') => {
            state.options.totals = !state.options.totals;
            sort(state, None)
        }
        KeyCode::Char('j') | KeyCode::Down => select(state, state.selected.saturating_add(1)),
        KeyCode::Char('k') | KeyCode::Up => select(state, state.selected.saturating_sub(1)),
        KeyCode::Char('g') | KeyCode::Home => select(state, 0),
        KeyCode::Char('G') | KeyCode::End => select(state, usize::MAX),
        KeyCode::PageDown => select(state, state.selected.saturating_add(page)),
        KeyCode::PageUp => select(state, state.selected.saturating_sub(page)),
        other => common_key(state, other),
    }
}

/// Keys of help and details, which scroll.
fn text_key(state: &mut State, key: KeyCode) -> Change {
    let page = state.hits.page.max(1);
    match key {
        KeyCode::Char('q') => Change::Quit,
        KeyCode::Char('?') if state.mode != Mode::Help => enter(state, Mode::Help),
        KeyCode::Esc | KeyCode::Enter | KeyCode::Char('?') => enter(state, Mode::List),
        KeyCode::Char('j') | KeyCode::Down => scroll(state, state.scroll.saturating_add(1)),
        KeyCode::Char('k') | KeyCode::Up => scroll(state, state.scroll.saturating_sub(1)),
        KeyCode::Char('g') | KeyCode::Home => scroll(state, 0),
        KeyCode::Char('G') | KeyCode::End => scroll(state, usize::MAX),
        KeyCode::PageDown => scroll(state, state.scroll.saturating_add(page)),
        KeyCode::PageUp => scroll(state, state.scroll.saturating_sub(page)),
        other => common_key(state, other),
    }
}

/// Keys of every mode.
fn common_key(state: &mut State, key: KeyCode) -> Change {
    match key {
        KeyCode::Char(' ') => {
            state.paused = !state.paused;
            Change::Picture
        }
        KeyCode::Char('r') => Change::Reset,
        KeyCode::Char('d') => {
            state.options.names = !state.options.names;
            Change::Picture
        }
        _ => Change::Nothing,
    }
}

fn filter_key(state: &mut State, key: KeyCode) -> Change {
    let text = state.options.filter.text();
    match key {
        KeyCode::Char(letter) => filter(state, &format!("{text}{letter}")),
        KeyCode::Backspace => {
            let mut text = text.to_owned();
            text.pop();
            filter(state, &text)
        }
        KeyCode::Enter => enter(state, Mode::List),
        KeyCode::Esc => {
            if let Mode::Filter { before } = &state.mode {
                state.options.filter = before.clone();
            }
            enter(state, Mode::List);
            Change::Picture
        }
        _ => Change::Nothing,
    }
}

fn on_mouse(state: &mut State, mouse: MouseEvent) -> Change {
    /// Lines per notch of the wheel.
    const NOTCH: usize = 3;
    let in_list = matches!(state.mode, Mode::List | Mode::Filter { .. });
    match mouse.kind {
        MouseEventKind::ScrollDown if in_list => select(state, state.selected.saturating_add(NOTCH)),
        MouseEventKind::ScrollUp if in_list => select(state, state.selected.saturating_sub(NOTCH)),
        MouseEventKind::ScrollDown => scroll(state, state.scroll.saturating_add(NOTCH)),
        MouseEventKind::ScrollUp => scroll(state, state.scroll.saturating_sub(NOTCH)),
        MouseEventKind::Down(MouseButton::Left) if in_list => click(state, mouse.column, mouse.row),
        _ => Change::Nothing,
    }
}

/// A click on a heading sorts by it, the next one reverses; a click on a row selects it; a click on a tab opens it.
fn click(state: &mut State, x: u16, y: u16) -> Change {
    if y == state.hits.heading {
        let hit = state.hits.columns.iter().find(|column| column.range.contains(&x));
        return match hit.map(|column| column.key) {
            Some(key) if state.options.sort.as_deref() == Some(key) => {
                state.options.reverse = !state.options.reverse;
                Change::Picture
            }
            Some(key) => sort(state, Some(key)),
            None => Change::Nothing,
        };
    }
    if y == state.hits.tabs_line {
        let hit = state.hits.tabs.iter().position(|range| range.contains(&x));
        let tab = hit.and_then(|place| state.screen.tabs().get(place)).copied();
        return match tab.filter(|tab| *tab != state.tab()) {
            Some(tab) => {
                state.options.table = Some(tab);
                changed_list(state)
            }
            None => Change::Nothing,
        };
    }
    let below = y.checked_sub(state.hits.heading.saturating_add(1)).map(usize::from);
    match below.filter(|line| *line < state.hits.page) {
        Some(line) if state.hits.offset + line < state.rows => select(state, state.hits.offset + line),
        _ => Change::Nothing,
    }
}

fn enter(state: &mut State, mode: Mode) -> Change {
    state.mode = mode;
    state.scroll = 0;
    Change::Frame
}

fn filter(state: &mut State, text: &str) -> Change {
    state.options.filter = Filter::parse(text);
    Change::Picture
}

fn sort(state: &mut State, key: Option<&'static str>) -> Change {
    state.options.sort = key.map(str::to_owned);
    state.options.reverse = false;
    Change::Picture
}

fn go_to_tab(state: &mut State, by: isize) -> Change {
    let tabs = state.screen.tabs();
    let now = tabs.iter().position(|tab| *tab == state.tab()).unwrap_or(0);
    let next = now.checked_add_signed(by).unwrap_or(tabs.len() - 1) % tabs.len();
    state.options.table = tabs.get(next).copied();
    changed_list(state)
}

/// Resets the selection after a change of the list.
fn changed_list(state: &mut State) -> Change {
    state.selected = 0;
    state.followed = None;
    state.moved = false;
    state.hits.offset = 0;
    Change::Picture
}

fn select(state: &mut State, place: usize) -> Change {
    state.selected = place.min(state.rows.saturating_sub(1));
    state.moved = true;
    Change::Frame
}

fn scroll(state: &mut State, line: usize) -> Change {
    state.scroll = line.min(state.hits.lines.saturating_sub(state.hits.page));
    Change::Frame
}

#[cfg(test)]
#[path = "update_tests.rs"]
mod tests;
