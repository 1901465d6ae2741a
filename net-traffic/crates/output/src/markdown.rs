//! Markdown: a heading and a pipe table for each table that Markdown shows, then what was lost.

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
    let fields = rendered_column::fields(table, table.markdown);
    writeln!(out, "\n## {}\n", escaped(&table.title))?;
    let mut line = String::from("|");
    for field in &fields {
        line.push(' ');
        line.push_str(field.heading);
        line.push_str(" |");
    }
    line.push_str("\n|");
    for field in &fields {
        line.push_str(if field.kind == ColumnKind::Number { " ---: |" } else { " --- |" });
    }
    writeln!(out, "{line}")?;
    let mut cell = String::new();
    for row in table.rows() {
        line.clear();
        line.push('|');
        for field in &fields {
            cell.clear();
            field.write(&mut cell, row, units);
            line.push(' ');
            line.push_str(&escaped(&cell));
            line.push_str(" |");
        }
        writeln!(out, "{line}")?;
    }
    Ok(())
}

/// The text as it is to be read: a bar would end the cell, and the others would mark up.
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
