//! One frame: what goes where. Pure: the same state and picture give the same frame.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::fit::{shorten, width_of};
use super::theme::{CHOSEN, DIM, Theme};
use super::{HitMap, Mode, Picture, State, bandwidth, details, header, help, table};
use net_traffic_view::{Screen, TableId};

/// Below this, nobody could read it.
const LEAST: (u16, u16) = (80, 24);

/// Lines above the list, with the tabs, and below it.
const ABOVE: u16 = 4;
const BELOW: u16 = 1;

/// Draws the frame; returns where things are.
#[must_use]
pub fn draw(frame: &mut Frame<'_>, state: &State, picture: &Picture<'_>) -> HitMap {
    let area = frame.area();
    let theme = Theme { color: state.color };
    if area.width < LEAST.0 || area.height < LEAST.1 {
        too_small(frame, area);
        return state.hits.clone();
    }
    let mut hits = HitMap { offset: state.hits.offset, ..HitMap::default() };
    header::draw(frame, Rect { height: ABOVE - 1, ..area }, state, picture, theme);
    let body = Rect { y: ABOVE, height: area.height - ABOVE - BELOW, ..area };
    match &state.mode {
        Mode::Help => help::draw(frame, body, state, picture, theme, &mut hits),
        Mode::Details { trace, .. } => {
            details::draw(frame, body, state, picture.details.as_ref(), trace, theme, &mut hits);
        }
        Mode::List | Mode::Filter { .. } => match state.screen {
            Screen::Top => table::draw(frame, body, state, &picture.live.rows, &mut hits),
            Screen::Bandwidth => bandwidth::draw(frame, body, state, picture, theme, &mut hits),
        },
    }
    // After the list, because they say how much of it is shown.
    tabs(frame, Rect { y: ABOVE - 1, height: 1, ..area }, state, picture, &mut hits);
    bottom(frame, Rect { y: area.height - BELOW, height: BELOW, ..area }, state, theme);
    hits
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

fn tabs(frame: &mut Frame<'_>, area: Rect, state: &State, picture: &Picture<'_>, hits: &mut HitMap) {
    let rows = &picture.live.rows;
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
        hits.tabs.push(x..x.saturating_add(width));
        x = x.saturating_add(width);
        spans.push(Span::styled(text, if chosen { CHOSEN } else { DIM }));
    }
    hits.tabs_line = area.y;
    frame.render_widget(Line::from(spans), area);
    let order = match (&state.options.sort, state.options.totals) {
        (Some(key), _) => format!("by {}", key.replace('_', " ")),
        (None, false) if state.screen == Screen::Top => "by rate".to_owned(),
        (None, true) if state.screen == Screen::Top => "by total".to_owned(),
        _ => String::new(),
    };
    let reversed = if state.options.reverse { ", reversed" } else { "" };
    let hidden = match hits.hidden {
        0 => String::new(),
        hidden => format!("  {hidden} hidden"),
    };
    let room = area.right().saturating_sub(x + 1);
    let order = format!("{order}{reversed}");
    let fits = width_of(&order) + width_of(&hidden) <= usize::from(room);
    let text = if fits { order + &hidden } else { order };
    let line = Line::styled(shorten(&text, usize::from(room)), DIM).right_aligned();
    frame.render_widget(line, Rect { x: x + 1, width: room, ..area });
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

/// The filter while there is one, else what the keys do.
fn bottom(frame: &mut Frame<'_>, area: Rect, state: &State, theme: Theme) {
    let filter = &state.options.filter;
    let line = match &state.mode {
        Mode::Filter { .. } => {
            // The end of the text is where people type.
            let room = usize::from(area.width).saturating_sub(2);
            let text: Vec<char> = filter.text().chars().collect();
            let tail: String = text[text.len().saturating_sub(room)..].iter().collect();
            let shown = Line::from(format!("/{tail}"));
            let x = area.x + u16::try_from(shown.width()).unwrap_or(0).min(area.width - 1);
            frame.set_cursor_position((x, area.y));
            match filter.problem() {
                Some(problem) => Line::from(vec![
                    Span::raw(format!("/{tail}  ")),
                    Span::styled(problem.to_owned(), theme.warning()),
                ]),
                None if tail.is_empty() => Line::from(vec![
                    Span::raw("/"),
                    Span::styled("  port: process: state: remote: container: or any text", DIM),
                ]),
                None => shown,
            }
        }
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
    frame.render_widget(line, area);
}
