//! A list as lines: the headings, and the rows that are visible.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::fit::{Fitted, GAP, fit, shorten, width_of};
use super::hit_map::ColumnHit;
use super::theme::{CHOSEN, DIM, HEADING};
use super::{HitMap, State};
use net_traffic_view::{ColumnKind, Rows, TableId};

/// Draws the list that has the keys.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, state: &State, rows: &Rows<'_>, hits: &mut HitMap) {
    let page = usize::from(area.height.saturating_sub(1));
    let last = rows.len().saturating_sub(page);
    let offset = hits.offset.min(last).min(state.selected).max((state.selected + 1).saturating_sub(page));
    let (columns, hidden) = list(frame, area, state, rows, offset, Some(state.selected));
    hits.heading = area.y;
    hits.offset = offset;
    hits.page = page;
    hits.hidden = hidden;
    hits.columns = columns;
    if rows.is_empty() {
        let text = if rows.total() == 0 { nothing(rows.table()) } else { "Nothing matches the filter." };
        let line = Line::styled(text, DIM);
        frame.render_widget(line, Rect { y: area.y + 1, height: 1, ..area });
    }
}

/// Draws a list that is only shown.
pub(super) fn draw_beside(frame: &mut Frame<'_>, area: Rect, state: &State, rows: &Rows<'_>) {
    drop(list(frame, area, state, rows, 0, None));
}

fn nothing(by: TableId) -> &'static str {
    match by {
        TableId::Connection => "Nothing is connected.",
        TableId::Process => "No process has a connection.",
        TableId::Container => "No container moved anything.",
        TableId::Destination => "Nothing was sent to another host, or received from one.",
        TableId::Interface => "No interface could be read.",
    }
}

fn list(
    frame: &mut Frame<'_>,
    area: Rect,
    state: &State,
    rows: &Rows<'_>,
    offset: usize,
    selected: Option<usize>,
) -> (Vec<ColumnHit>, usize) {
    let page = usize::from(area.height.saturating_sub(1));
    let places = offset..rows.len().min(offset + page);
    // Only the list that has the keys is sorted by them.
    let sorted = state.options.sort.as_deref().filter(|_| selected.is_some());
    let shown = rows.layout(state.options.totals);
    let width = usize::from(area.width);
    let (columns, hidden) = fit(rows, places.clone(), &shown, sorted, width, state);
    let (line, hits) = headings(&columns, area.x, state, sorted);
    frame.render_widget(line, Rect { height: 1, ..area });
    for (line, place) in (1u16..).zip(places.clone()) {
        let text = row(&columns, place - places.start, width);
        let style = match (selected == Some(place), rows.has_ended(place)) {
            (true, true) => CHOSEN.patch(DIM),
            (true, false) => CHOSEN,
            (false, true) => DIM,
            (false, false) => ratatui::style::Style::new(),
        };
        let area = Rect { y: area.y + line, height: 1, ..area };
        frame.render_widget(Line::styled(text, style), area);
    }
    (hits, hidden)
}

fn headings<'a>(
    columns: &[Fitted],
    left: u16,
    state: &State,
    sorted: Option<&str>,
) -> (Line<'a>, Vec<ColumnHit>) {
    let mut spans = Vec::new();
    let mut hits = Vec::new();
    let mut x = left;
    for column in columns {
        if !spans.is_empty() {
            spans.push(Span::raw(" ".repeat(GAP)));
            x += 1;
        }
        let text = match (sorted == Some(column.key), state.options.reverse) {
            (false, _) => column.heading.to_owned(),
            (true, reverse) => {
                let falls = (column.kind == ColumnKind::Number) != reverse;
                format!("{}{}", column.heading, if falls { '▼' } else { '▲' })
            }
        };
        let mut line = String::new();
        align(&mut line, column, &text);
        let width = u16::try_from(column.width).unwrap_or(u16::MAX);
        hits.push(ColumnHit { key: column.key, range: x..x.saturating_add(width) });
        x = x.saturating_add(width);
        spans.push(Span::styled(line, HEADING));
    }
    (Line::from(spans), hits)
}

/// One row as a line, as wide as the screen so that a selected row is a bar.
fn row(columns: &[Fitted], row: usize, width: usize) -> String {
    let mut line = String::with_capacity(width);
    for (place, column) in columns.iter().enumerate() {
        if place > 0 {
            line.push_str(&" ".repeat(GAP));
        }
        let text = column.texts.get(row).map_or("", String::as_str);
        align(&mut line, column, &shorten(text, column.width));
    }
    line.push_str(&" ".repeat(width.saturating_sub(width_of(&line))));
    line
}

fn align(line: &mut String, column: &Fitted, text: &str) {
    let padding = " ".repeat(column.width.saturating_sub(width_of(text)));
    let right = column.kind == ColumnKind::Number;
    line.push_str(if right { &padding } else { text });
    line.push_str(if right { text } else { &padding });
}
