//! One frame and its layout. Pure: the same state and picture give the same frame.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::canvas::{Canvas, line};
use super::fit::{shorten, width_of};
use super::theme::{CHOSEN, DIM};
use super::{HitMap, Mode, Picture, State, bandwidth, details, header, help, table};
use net_traffic_view::{Filter, Screen, TableId};

/// The least size of a terminal.
const LEAST: (u16, u16) = (80, 24);

/// Lines above the list, including the tabs, and below it.
const ABOVE: u16 = 4;
const BELOW: u16 = 1;

/// Draws the frame; returns its click targets.
#[must_use]
pub fn draw(frame: &mut Frame<'_>, state: &State, picture: &Picture<'_>) -> HitMap {
    let area = frame.area();
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(frame, area);
        return state.hits.clone();
    }
    let mut canvas = Canvas::new(frame, state);
    header::draw(&mut canvas, Rect { height: ABOVE - 1, ..area }, picture);
    let body = Rect { y: ABOVE, height: area.height - ABOVE - BELOW, ..area };
    match &state.mode {
        Mode::Help => help::draw(&mut canvas, body, picture),
        Mode::Details { trace, .. } => details::draw(&mut canvas, body, picture.details.as_ref(), trace),
        Mode::List | Mode::Filter { .. } => match state.screen {
            Screen::Top => table::draw(&mut canvas, body, &picture.live.rows),
            Screen::Bandwidth => bandwidth::draw(&mut canvas, body, picture),
        },
    }
    // The tabs show the number of hidden columns, so they are drawn after the list.
    tabs(&mut canvas, line(area, ABOVE - 1), picture);
    bottom(&mut canvas, Rect { y: area.height - BELOW, height: BELOW, ..area });
    canvas.hits
}

fn too_small(frame: &mut Frame<'_>, area: Rect) {
    let (width, height) = LEAST;
    let lines = vec![
        Line::from(format!("net-traffic needs {width}x{height};")),
        Line::from(format!("this terminal has {}x{}.", area.width, area.height)),
        Line::from("q quits."),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn tabs(canvas: &mut Canvas<'_, '_>, area: Rect, picture: &Picture<'_>) {
    let (state, rows) = (canvas.state, &picture.live.rows);
    let mut spans = Vec::new();
    let mut x = area.x;
    for (place, tab) in state.screen.tabs().iter().enumerate() {
        let chosen = *tab == state.tab();
        let count = match (chosen, rows.len() == rows.total()) {
            (false, _) => String::new(),
            (true, true) => format!(" {}", rows.len()),
            (true, false) => format!(" {}/{}", rows.len(), rows.total()),
        };
        let text = format!(" {} {}{count} ", place + 1, title(*tab));
        let width = u16::try_from(text.len()).unwrap_or(u16::MAX);
        canvas.hits.tabs.push(x..x.saturating_add(width));
        x = x.saturating_add(width);
        spans.push(Span::styled(text, if chosen { CHOSEN } else { DIM }));
    }
    canvas.hits.tabs_line = area.y;
    canvas.draw(Line::from(spans), area);
    let order = order(state);
    let hidden = match canvas.hits.hidden {
        0 => String::new(),
        hidden => format!("  {hidden} hidden"),
    };
    let room = area.right().saturating_sub(x + 1);
    let fits = width_of(&order) + width_of(&hidden) <= usize::from(room);
    let text = if fits { order + &hidden } else { order };
    let text = Line::styled(shorten(&text, usize::from(room)), DIM).right_aligned();
    canvas.draw(text, Rect { x: x + 1, width: room, ..area });
}

/// The order of the list in words.
fn order(state: &State) -> String {
    let by = match (&state.options.sort, state.options.totals) {
        (Some(key), _) => format!("by {}", key.replace('_', " ")),
        (None, false) if state.screen == Screen::Top => "by rate".to_owned(),
        (None, true) if state.screen == Screen::Top => "by total".to_owned(),
        _ => String::new(),
    };
    let reversed = if state.options.reverse { ", reversed" } else { "" };
    by + reversed
}

fn title(tab: TableId) -> &'static str {
    match tab {
        TableId::Connection => "Connections",
        TableId::Process => "Processes",
        TableId::Container => "Containers",
        TableId::Destination => "Destinations",
        TableId::Interface => "Interfaces",
    }
}

/// Draws the filter, or the keys without one.
fn bottom(canvas: &mut Canvas<'_, '_>, area: Rect) {
    let (state, theme) = (canvas.state, canvas.theme);
    let filter = &state.options.filter;
    let text = match &state.mode {
        Mode::Filter { .. } => return filter_input(canvas, area, filter),
        Mode::Help => Line::from("Esc back  j k PgUp PgDn scroll  q quit"),
        Mode::Details { .. } => Line::from("Esc back  j k PgUp PgDn scroll  space pause  ? help  q quit"),
        Mode::List if !filter.text().is_empty() => {
            let text = format!("filter: {}", filter.text());
            let room = usize::from(area.width).saturating_sub(22);
            Line::from(vec![
                Span::styled(shorten(&text, room), theme.title()),
                Span::raw("  / change  Esc clear"),
            ])
        }
        Mode::List => {
            Line::from("q quit  ? help  / filter  s sort  t totals  Tab list  Enter details  space hold")
        }
    };
    canvas.draw(text, area);
}

/// Draws the filter while it is typed. A long text shows its end, where the cursor is.
fn filter_input(canvas: &mut Canvas<'_, '_>, area: Rect, filter: &Filter) {
    let room = usize::from(area.width).saturating_sub(2);
    let text: Vec<char> = filter.text().chars().collect();
    let tail: String = text[text.len().saturating_sub(room)..].iter().collect();
    let typed = Line::from(format!("/{tail}"));
    let x = area.x + u16::try_from(typed.width()).unwrap_or(0).min(area.width - 1);
    canvas.set_cursor(x, area.y);
    let text = match filter.problem() {
        Some(problem) => Line::from(vec![
            Span::raw(format!("/{tail}  ")),
            Span::styled(problem.to_owned(), canvas.theme.warning()),
        ]),
        None if tail.is_empty() => Line::from(vec![
            Span::raw("/"),
            Span::styled("  port: process: state: remote: container: or any text", DIM),
        ]),
        None => typed,
    };
    canvas.draw(text, area);
}
