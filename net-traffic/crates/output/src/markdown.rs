//! Markdown: a heading and a pipe table for each table with a Markdown layout, then facts and losses.

use std::io::{self, Write};

use super::{Units, footer, format, rendered_column};
use net_traffic_view::{ColumnKind, Report, Table, Value};

/// Writes the whole report.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, report: &Report<'_>, units: Option<Units>) -> io::Result<()> {
    writeln!(out, "# Network traffic - {}", escaped(&format::value(Value::Text(report.host), None)))?;
    for table in report.tables.iter().filter(|table| !table.markdown.is_empty()) {
        write_table(out, table, units)?;
    }
    for (name, value) in &report.facts {
        writeln!(out, "\n{name}: {}", format::value(*value, units))?;
    }
    writeln!(out, "\n{}", escaped(&footer::line(report, units)))
}

fn write_table(out: &mut impl Write, table: &Table<'_>, units: Option<Units>) -> io::Result<()> {
    let columns = rendered_column::rendered_columns(table, table.markdown);
    writeln!(out, "\n## {}\n", escaped(&table.title))?;
    let mut line = String::from("|");
    for column in &columns {
        line.push(' ');
        line.push_str(column.heading);
        line.push_str(" |");
    }
    line.push_str("\n|");
    for column in &columns {
        line.push_str(if column.kind == ColumnKind::Number { " ---: |" } else { " --- |" });
    }
    writeln!(out, "{line}")?;
    let mut cell = String::new();
    for row in table.rows() {
        line.clear();
        line.push('|');
        for column in &columns {
            cell.clear();
            column.write(&mut cell, row, units);
            line.push(' ');
            line.push_str(&escaped(&cell));
            line.push_str(" |");
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// Escapes the bar, which ends a cell, and the characters of markup.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '|' | '\\' | '`' | '<' | '*') {
            safe.push('\\');
        }
        safe.push(character);
    }
    safe
}
