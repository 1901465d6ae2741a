//! Tables for people: aligned text on a pipe, fitted to the width on a terminal.

use std::io::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, presets};

use super::rendered_column::{self, RenderedColumn};
use super::{Settings, footer, format};
use net_traffic_view::{ColumnKind, Report, Table, Value};

/// Writes the whole report.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, report: &Report<'_>, settings: &Settings) -> io::Result<()> {
    if settings.header {
        writeln!(
            out,
            "{} - {}",
            format::value(Value::Text(report.host), None),
            format::rfc3339(report.unix_ns)
        )?;
    }
    // An empty table is left out, except the main one.
    let shown = report.tables.iter().enumerate().filter(|(place, table)| {
        !table.text.is_empty() && (*place == report.main || !table.cells.is_empty())
    });
    for (_, table) in shown {
        if settings.header {
            writeln!(out, "\n{}", table.title)?;
        }
        match settings.width {
            Some(width) => write_fitted(out, table, settings, width)?,
            None => write_plain(out, table, settings)?,
        }
        if table.omitted > 0 {
            writeln!(out, "... and {} more", table.omitted)?;
        }
    }
    for (name, value) in &report.facts {
        writeln!(out, "\n{name}: {}", format::value(*value, settings.units))?;
    }
    if settings.header {
        writeln!(out)?;
    }
    writeln!(out, "{}", footer::line(report, settings.units))
}

/// Columns as wide as their widest value, two spaces apart.
fn write_plain(out: &mut impl Write, table: &Table<'_>, settings: &Settings) -> io::Result<()> {
    let columns = rendered_column::rendered_columns(table, table.text);
    // All cells in one string, and the end of each: two allocations a table instead of one a cell.
    let mut text = String::new();
    let mut ends = Vec::with_capacity(table.rows().len() * columns.len());
    let mut widths: Vec<usize> =
        columns.iter().map(|column| if settings.header { column.heading.len() } else { 0 }).collect();
    for row in table.rows() {
        for (column, width) in columns.iter().zip(&mut widths) {
            let begin = text.len();
            column.write(&mut text, row, settings.units);
            let written = text.get(begin..).unwrap_or_default();
            *width = (*width).max(width_of(written));
            ends.push(text.len());
        }
    }
    let mut line = String::new();
    if settings.header {
        for (column, width) in columns.iter().zip(&widths) {
            align(&mut line, column, column.heading, *width);
        }
        end_line(out, &mut line)?;
    }
    let mut begin = 0;
    for row in ends.chunks(columns.len().max(1)) {
        for ((column, width), end) in columns.iter().zip(&widths).zip(row) {
            align(&mut line, column, text.get(begin..*end).unwrap_or_default(), *width);
            begin = *end;
        }
        end_line(out, &mut line)?;
    }
    Ok(())
}

fn align(line: &mut String, column: &RenderedColumn, value: &str, width: usize) {
    if !line.is_empty() {
        line.push_str("  ");
    }
    let padding = width.saturating_sub(width_of(value));
    if column.kind == ColumnKind::Number {
        line.extend(std::iter::repeat_n(' ', padding));
        line.push_str(value);
    } else {
        line.push_str(value);
        line.extend(std::iter::repeat_n(' ', padding));
    }
}

fn end_line(out: &mut impl Write, line: &mut String) -> io::Result<()> {
    writeln!(out, "{}", line.trim_end())?;
    line.clear();
    Ok(())
}

fn width_of(text: &str) -> usize {
    if text.is_ascii() { text.len() } else { text.chars().count() }
}

/// Values that do not fit wrap within their cell.
fn write_fitted(out: &mut impl Write, table: &Table<'_>, settings: &Settings, width: u16) -> io::Result<()> {
    let (columns, hidden) = columns_that_fit(table, settings, width);
    let mut fitted = comfy_table::Table::new();
    fitted.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    if settings.color {
        fitted.enforce_styling();
    } else {
        fitted.force_no_tty();
    }
    if settings.header {
        fitted.set_header(columns.iter().map(|column| {
            let cell = Cell::new(column.heading);
            if settings.color { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
    }
    for row in table.rows() {
        fitted.add_row(columns.iter().map(|column| {
            let mut text = String::new();
            column.write(&mut text, row, settings.units);
            Cell::new(text)
        }));
    }
    for (fitted_column, column) in fitted.column_iter_mut().zip(&columns) {
        if column.kind == ColumnKind::Number {
            fitted_column.set_cell_alignment(CellAlignment::Right);
        }
    }
    for line in fitted.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    if !hidden.is_empty() {
        writeln!(out, "(no room for {})", hidden.join(", "))?;
    }
    Ok(())
}

/// The columns that fit into the width, and the headings of the omitted ones.
fn columns_that_fit(
    table: &Table<'_>,
    settings: &Settings,
    width: u16,
) -> (Vec<RenderedColumn>, Vec<&'static str>) {
    let mut columns = rendered_column::rendered_columns(table, table.text);
    let mut text = String::new();
    let mut needed = |column: &RenderedColumn| {
        let widest = table.rows().map(|row| {
            text.clear();
            column.write(&mut text, row, settings.units);
            width_of(&text)
        });
        // One space on each side.
        widest.max().unwrap_or(0).max(column.heading.len()) + 2
    };
    let mut widths: Vec<usize> = columns.iter().map(&mut needed).collect();
    let mut hidden = Vec::new();
    while widths.iter().sum::<usize>() > usize::from(width) {
        let optional = columns.iter().enumerate().filter(|(_, column)| column.rank > 0);
        let Some((place, _)) = optional.max_by_key(|(_, column)| column.rank) else { break };
        hidden.push(columns.remove(place).heading);
        widths.remove(place);
    }
    (columns, hidden)
}
