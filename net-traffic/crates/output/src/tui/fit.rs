//! Which columns have room. Addresses and numbers are never cut; what does not fit beside them is left out, and of
//! names a mark stands for what is missing.

use std::ops::Range;

use ratatui::text::Span;

use super::State;
use crate::format;
use net_traffic_view::{CellPart, ColumnKind, ColumnSpec, Rows, Value};

/// A column that has room, and the texts of its visible rows.
#[derive(Debug)]
pub(super) struct Fitted {
    pub key: &'static str,
    pub heading: &'static str,
    pub kind: ColumnKind,
    pub width: usize,
    pub texts: Vec<String>,
    rank: u8,
}

/// Between two columns.
pub(super) const GAP: usize = 1;
/// The sign of the order needs room beside its heading.
const SIGN: usize = 1;
/// Numbers change: a column that is as wide as most of them does not move at every frame.
const NUMBER: usize = 8;
/// A longer name is shortened before another column is left out; and never to less than the least.
const NAME: usize = 20;
const LEAST_NAME: usize = 8;
/// As long as the longest addresses of version 4 with some room.
const HOST: usize = 26;

/// The columns for the rows at these places; and how many columns have no room.
pub(super) fn fit(
    rows: &Rows<'_>,
    places: Range<usize>,
    shown: &[ColumnSpec],
    sorted: Option<&str>,
    width: usize,
    state: &State,
) -> (Vec<Fitted>, usize) {
    let cells: Vec<Vec<Value<'_>>> = places.map(|place| rows.cells(place)).collect();
    let columns = rows.columns();
    let mut fitted: Vec<Fitted> = shown
        .iter()
        .filter_map(|shown| {
            let place = columns.iter().position(|column| column.key == shown.key)?;
            let kind = columns.get(place)?.kind;
            let name = shown.name.filter(|_| state.options.names);
            let name = name.and_then(|name| columns.iter().position(|column| column.key == name));
            let texts = cells.iter().map(|row| {
                let value = row.get(place).copied().unwrap_or(Value::Unknown);
                match name.and_then(|name| row.get(name)) {
                    Some(Value::Text(name)) => host(name, value),
                    _ => format::value(value, state.units),
                }
            });
            Some(Fitted {
                key: shown.key,
                heading: shown.heading,
                kind,
                width: 0,
                texts: texts.collect(),
                rank: shown.rank,
            })
        })
        .collect();
    let natural = |column: &Fitted| {
        let sign = if sorted == Some(column.key) { SIGN } else { 0 };
        let widest = column.texts.iter().map(|text| width_of(text)).max().unwrap_or(0);
        let least = if is_quantity(column) { NUMBER } else { 0 };
        widest.max(column.heading.len() + sign).max(least)
    };
    for column in &mut fitted {
        let natural = natural(column);
        column.width = if is_name(column) { natural.min(NAME) } else { natural };
    }
    let all = fitted.len();
    while total(&fitted) > width {
        // Columns of one rank belong together: received without sent would say half.
        let Some(rank) = fitted.iter().map(|column| column.rank).max().filter(|rank| *rank > 0) else {
            break;
        };
        fitted.retain(|column| column.rank != rank);
    }
    shrink_names(&mut fitted, width);
    // What is left over goes to the names that were shortened.
    for place in 0..fitted.len() {
        let spare = width.saturating_sub(total(&fitted));
        if let Some(column) = fitted.get_mut(place).filter(|column| is_name(column)) {
            let natural = natural(column);
            column.width += natural.saturating_sub(column.width).min(spare);
        }
    }
    let hidden = all - fitted.len();
    (fitted, hidden)
}

/// A host by its name. A long name must not drive out the other columns; the details have all of it.
fn host(name: &str, value: Value<'_>) -> String {
    let mut text = String::new();
    format::write_named(&mut text, &shorten(name, HOST), value, CellPart::Whole);
    text
}

/// The text, or its beginning and a mark where it is longer.
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

fn is_name(column: &Fitted) -> bool {
    matches!(column.key, "process" | "container" | "user" | "name" | "id" | "interface")
}

fn is_quantity(column: &Fitted) -> bool {
    column.key.ends_with("_bps") || column.key.ends_with("_bytes")
}
