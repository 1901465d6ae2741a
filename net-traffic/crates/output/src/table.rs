//! Tables for people: plain aligned text for a pipe, fitted to the width on a terminal.

use std::io::{self, Write};

use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, presets};

use super::rendered_column::{self, RenderedColumn};
use super::{Settings, footer, format};
use net_traffic_view::{ColumnKind, Report, Table};

/// Writes the whole report.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, report: &Report<'_>, settings: &Settings) -> io::Result<()> {
    if settings.header {
        writeln!(
            out,
            "{} - {}",
            format::value(net_traffic_view::Value::Text(report.host), None),
            format::rfc3339(report.unix_ns)
        )?;
    }
    // A table that has nothing to say is left out, except the one that the report is about.
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

/// Columns as wide as their widest value, two spaces apart; nothing is cut.
fn write_plain(out: &mut impl Write, table: &Table<'_>, settings: &Settings) -> io::Result<()> {
    let fields = rendered_column::fields(table, table.text);
    // All values one after the other, and where each ends: two allocations for the table, not one for a value.
    let mut text = String::new();
    let mut ends = Vec::with_capacity(table.rows().len() * fields.len());
    let mut widths: Vec<usize> =
        fields.iter().map(|field| if settings.header { field.heading.len() } else { 0 }).collect();
    for row in table.rows() {
        for (field, width) in fields.iter().zip(&mut widths) {
            let begin = text.len();
            field.write(&mut text, row, settings.units);
            let written = text.get(begin..).unwrap_or_default();
            *width = (*width).max(width_of(written));
            ends.push(text.len());
        }
    }
    let mut line = String::new();
    if settings.header {
        for (field, width) in fields.iter().zip(&widths) {
            align(&mut line, field, field.heading, *width);
        }
        end_line(out, &mut line)?;
    }
    let mut begin = 0;
    for row in ends.chunks(fields.len().max(1)) {
        for ((field, width), end) in fields.iter().zip(&widths).zip(row) {
            align(&mut line, field, text.get(begin..*end).unwrap_or_default(), *width);
            begin = *end;
        }
        end_line(out, &mut line)?;
    }
    Ok(())
}

fn align(line: &mut String, field: &RenderedColumn, value: &str, width: usize) {
    if !line.is_empty() {
        line.push_str("  ");
    }
    let padding = width.saturating_sub(width_of(value));
    if field.kind == ColumnKind::Number {
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

/// Values that do not fit are continued on the next line of their cell, never cut.
fn write_fitted(out: &mut impl Write, table: &Table<'_>, settings: &Settings, width: u16) -> io::Result<()> {
    let (fields, hidden) = that_fit(table, settings, width);
    let mut fitted = comfy_table::Table::new();
    fitted.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
    if settings.color {
        fitted.enforce_styling();
    } else {
        fitted.force_no_tty();
    }
    if settings.header {
        fitted.set_header(fields.iter().map(|field| {
            let cell = Cell::new(field.heading);
            if settings.color { cell.add_attribute(Attribute::Bold) } else { cell }
        }));
    }
    for row in table.rows() {
        fitted.add_row(fields.iter().map(|field| {
            let mut text = String::new();
            field.write(&mut text, row, settings.units);
            Cell::new(text)
        }));
    }
    for (column, field) in fitted.column_iter_mut().zip(&fields) {
        if field.kind == ColumnKind::Number {
            column.set_cell_alignment(CellAlignment::Right);
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

/// The fields that find room side by side, and the headings of those that were left out for them.
fn that_fit(table: &Table<'_>, settings: &Settings, width: u16) -> (Vec<RenderedColumn>, Vec<&'static str>) {
    let mut fields = rendered_column::fields(table, table.text);
    let mut text = String::new();
    let mut room = |field: &RenderedColumn| {
        let widest = table.rows().map(|row| {
            text.clear();
            field.write(&mut text, row, settings.units);
            width_of(&text)
        });
        // A space on either side.
        widest.max().unwrap_or(0).max(field.heading.len()) + 2
    };
    let mut rooms: Vec<usize> = fields.iter().map(&mut room).collect();
    let mut hidden = Vec::new();
    while rooms.iter().sum::<usize>() > usize::from(width) {
        let optional = fields.iter().enumerate().filter(|(_, field)| field.rank > 0);
        let Some((place, _)) = optional.max_by_key(|(_, field)| field.rank) else { break };
        hidden.push(fields.remove(place).heading);
        rooms.remove(place);
    }
    (fields, hidden)
}
