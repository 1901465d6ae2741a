//! The widths of columns. Addresses and numbers are never cut. Optional columns without room are left out, and long names
//! end in an ellipsis.

use std::ops::Range;

use ratatui::text::Span;

use super::State;
use crate::format;
use net_traffic_view::{CellPart, Column, ColumnKind, ColumnSpec, Rows, Value};

/// A column with its width and the texts of its visible rows.
#[derive(Debug)]
pub(super) struct Fitted {
    pub key: &'static str,
    pub heading: &'static str,
    pub kind: ColumnKind,
    pub width: usize,
    pub texts: Vec<String>,
    /// The width without a limit.
    natural: usize,
    rank: u8,
}

/// The space between two columns.
pub(super) const GAP: usize = 1;
/// The width of the sort sign beside a heading.
const SIGN: usize = 1;
/// The least width of a quantity: wide enough for most, so that columns do not move when numbers change.
const NUMBER: usize = 8;
/// A name is shortened to `NAME` before another column is left out, and never below `LEAST_NAME`.
const NAME: usize = 20;
const LEAST_NAME: usize = 8;
/// The most characters of a host name in a list.
const HOST: usize = 26;

/// The columns of a list that have room.
pub(super) struct Fit {
    pub columns: Vec<Fitted>,
    /// The number of columns without room.
    pub hidden: usize,
}

/// Fits the columns of the rows at these places into `width`.
pub(super) fn fit(
    rows: &Rows<'_>,
    places: Range<usize>,
    sorted: Option<&str>,
    width: usize,
    state: &State,
) -> Fit {
    let cells: Vec<Vec<Value<'_>>> = places.map(|place| rows.cells(place)).collect();
    let layout = rows.layout(state.options.totals);
    let mut columns: Vec<Fitted> =
        layout.iter().filter_map(|spec| rendered(spec, rows.columns(), &cells, state)).collect();
    for column in &mut columns {
        column.natural = natural_width(column, sorted);
        column.width = if is_name(column) { column.natural.min(NAME) } else { column.natural };
    }
    let all = columns.len();
    drop_optional(&mut columns, width);
    shrink_names(&mut columns, width);
    widen_names(&mut columns, width);
    let hidden = all - columns.len();
    Fit { columns, hidden }
}

/// A column with the texts of its visible rows, before it has a width.
fn rendered(
    spec: &ColumnSpec,
    columns: &[Column],
    cells: &[Vec<Value<'_>>],
    state: &State,
) -> Option<Fitted> {
    let place_of = |key: &str| columns.iter().position(|column| column.key == key);
    let place = place_of(spec.key)?;
    let name = spec.name.filter(|_| state.options.names).and_then(place_of);
    let text = |row: &Vec<Value<'_>>| {
        let value = row.get(place).copied().unwrap_or(Value::Unknown);
        match name.and_then(|name| row.get(name)) {
            Some(Value::Text(name)) => host(name, value),
            _ => format::value(value, state.units),
        }
    };
    Some(Fitted {
        key: spec.key,
        heading: spec.heading,
        kind: columns.get(place)?.kind,
        width: 0,
        texts: cells.iter().map(text).collect(),
        natural: 0,
        rank: spec.rank,
    })
}

/// The width of the widest text or of the heading.
fn natural_width(column: &Fitted, sorted: Option<&str>) -> usize {
    let sign = if sorted == Some(column.key) { SIGN } else { 0 };
    let widest = column.texts.iter().map(|text| width_of(text)).max().unwrap_or(0);
    let least = if is_quantity(column) { NUMBER } else { 0 };
    widest.max(column.heading.len() + sign).max(least)
}

/// Drops columns by rank until the others fit. Columns of one rank go together: received bytes without sent bytes would
/// be half of the information.
fn drop_optional(columns: &mut Vec<Fitted>, width: usize) {
    while total(columns) > width {
        let highest = columns.iter().map(|column| column.rank).max().filter(|rank| *rank > 0);
        let Some(rank) = highest else { break };
        columns.retain(|column| column.rank != rank);
    }
}

/// A host name in place of its address. A long name is shortened to leave room for other columns; the details show it
/// whole.
fn host(name: &str, value: Value<'_>) -> String {
    let mut text = String::new();
    format::write_named(&mut text, &shorten(name, HOST), value, CellPart::Whole);
    text
}

/// The text, or its first characters and an ellipsis.
pub(super) fn shorten(text: &str, width: usize) -> String {
    if width_of(text) <= width {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for letter in text.chars() {
        let mut bytes = [0; 4];
        used += width_of(letter.encode_utf8(&mut bytes));
        if used > width {
            break;
        }
        short.push(letter);
    }
    if width > 0 {
        short.push('…');
    }
    short
}

pub(super) fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { Span::raw(text).width() }
}

fn total(columns: &[Fitted]) -> usize {
    columns.iter().map(|column| column.width + GAP).sum::<usize>().saturating_sub(GAP)
}

fn shrink_names(columns: &mut [Fitted], width: usize) {
    while total(columns) > width {
        let names = columns.iter_mut().filter(|column| is_name(column) && column.width > LEAST_NAME);
        let Some(widest) = names.max_by_key(|column| column.width) else { break };
        widest.width -= 1;
    }
}

/// Gives the remaining width to the shortened names.
fn widen_names(columns: &mut [Fitted], width: usize) {
    let mut spare = width.saturating_sub(total(columns));
    for column in columns.iter_mut().filter(|column| is_name(column)) {
        let more = column.natural.saturating_sub(column.width).min(spare);
        column.width += more;
        spare -= more;
    }
}

fn is_name(column: &Fitted) -> bool {
    matches!(column.key, "process" | "container" | "user" | "name" | "id" | "interface")
}

fn is_quantity(column: &Fitted) -> bool {
    column.key.ends_with("_bps") || column.key.ends_with("_bytes")
}
