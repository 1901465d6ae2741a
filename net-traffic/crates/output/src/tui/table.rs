//! A list: headings and the visible rows.

use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::canvas::{Canvas, line};
use super::fit::{Fit, Fitted, GAP, fit, shorten, width_of};
use super::hit_map::ColumnHit;
use super::theme::{CHOSEN, DIM, HEADING};
use net_traffic_view::{ColumnKind, Rows, TableId};

/// Draws the list with the keyboard focus.
pub(super) fn draw(canvas: &mut Canvas<'_, '_>, area: Rect, rows: &Rows<'_>) {
    let selected = canvas.state.selected;
    let page = usize::from(area.height.saturating_sub(1));
    let last = rows.len().saturating_sub(page);
    let offset = canvas.hits.offset.min(last).min(selected).max((selected + 1).saturating_sub(page));
    let (columns, hidden) = list(canvas, area, rows, Window { offset, selected: Some(selected) });
    canvas.hits.heading = area.y;
    canvas.hits.offset = offset;
    canvas.hits.page = page;
    canvas.hits.hidden = hidden;
    canvas.hits.columns = columns;
    if rows.is_empty() {
        let text = if rows.total() == 0 { nothing(rows.table()) } else { "Nothing matches the filter." };
        canvas.draw(Line::styled(text, DIM), line(area, 1));
    }
}

/// Draws a list without the focus.
pub(super) fn draw_beside(canvas: &mut Canvas<'_, '_>, area: Rect, rows: &Rows<'_>) {
    drop(list(canvas, area, rows, Window { offset: 0, selected: None }));
}

/// The visible part of a list.
#[derive(Clone, Copy)]
struct Window {
    /// The place of the first visible row.
    offset: usize,
    /// `None` for a list without the focus, which also has no sort column.
    selected: Option<usize>,
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

fn list(canvas: &mut Canvas<'_, '_>, area: Rect, rows: &Rows<'_>, window: Window) -> (Vec<ColumnHit>, usize) {
    let Window { offset, selected } = window;
    let state = canvas.state;
    let page = usize::from(area.height.saturating_sub(1));
    let places = offset..rows.len().min(offset + page);
    let sorted = state.options.sort.as_deref().filter(|_| selected.is_some());
    let width = usize::from(area.width);
    let Fit { columns, hidden } = fit(rows, places.clone(), sorted, width, state);
    let (headings, hits) = headings(&columns, area.x, state.options.reverse, sorted);
    canvas.draw(headings, line(area, 0));
    for (at, place) in (1u16..).zip(places.clone()) {
        let text = row(&columns, place - places.start, width);
        let style = match (selected == Some(place), rows.has_ended(place)) {
            (true, true) => CHOSEN.patch(DIM),
            (true, false) => CHOSEN,
            (false, true) => DIM,
            (false, false) => ratatui::style::Style::new(),
        };
        canvas.draw(Line::styled(text, style), line(area, at));
    }
    (hits, hidden)
}

fn headings<'a>(
    columns: &[Fitted],
    left: u16,
    reverse: bool,
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
        let text = if sorted == Some(column.key) {
            let falls = (column.kind == ColumnKind::Number) != reverse;
            format!("{}{}", column.heading, if falls { '▼' } else { '▲' })
        } else {
            column.heading.to_owned()
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

/// One row as a line of the full width, so that a selected row is a bar.
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
