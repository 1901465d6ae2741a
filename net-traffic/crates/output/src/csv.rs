//! CSV as RFC 4180 has it: the report's main table, under the names that JSON uses.

use std::io::{self, Write};

use super::format;
use net_traffic_view::{ColumnKind, Report, Value};

/// Writes the main table; `header` with the names above it; `time` with the report's time in front of each row, so
/// that the reports of a series can be told apart.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, report: &Report<'_>, header: bool, time: bool) -> io::Result<()> {
    let Some(table) = report.tables.get(report.main) else { return Ok(()) };
    let columns =
        || table.columns.iter().enumerate().filter(|(_, column)| column.is_written(report.has_names));
    let mut line = Line::default();
    if header {
        if time {
            line.field("time");
        }
        for (_, column) in columns() {
            match column.kind {
                ColumnKind::Endpoint => {
                    line.field(&format!("{}_address", column.key));
                    line.field(&format!("{}_port", column.key));
                }
                ColumnKind::Text | ColumnKind::Number => line.field(column.key),
            }
        }
        line.end(out)?;
    }
    let at = format::rfc3339(report.unix_ns);
    for row in table.rows() {
        if time {
            line.field(&at);
        }
        for (place, column) in columns() {
            let value = row.get(place).copied().unwrap_or(Value::Unknown);
            match (column.kind, value) {
                (ColumnKind::Endpoint, Value::Endpoint { address, port }) => {
                    line.field(&address.to_string());
                    line.field(&port.to_string());
                }
                (ColumnKind::Endpoint, _) => {
                    line.field("");
                    line.field("");
                }
                (_, value) => line.value(value),
            }
        }
        line.end(out)?;
    }
    Ok(())
}

/// One record in the making.
#[derive(Default)]
struct Line {
    text: String,
    begun: bool,
}

impl Line {
    fn value(&mut self, value: Value<'_>) {
        match value {
            // An empty field: "-" would be a text among numbers.
            Value::Unknown => self.field(""),
            Value::Text(text) => self.field(text),
            Value::Label(label) => self.field(label.id),
            Value::Id(number) => self.field(&number.to_string()),
            Value::Flag(flag) => self.field(if flag { "true" } else { "false" }),
            Value::Count(number)
            | Value::Bytes(number)
            | Value::Rate(number)
            | Value::LinkRate(number)
            | Value::Microseconds(number)
            | Value::Milliseconds(number)
            | Value::Nanoseconds(number) => self.field(&number.to_string()),
            Value::Difference(number) => self.field(&number.to_string()),
            Value::Address(address) => self.field(&address.to_string()),
            Value::Endpoint { address, port } => self.field(&format!("{address} {port}")),
        }
    }

    fn field(&mut self, field: &str) {
        if self.begun {
            self.text.push(',');
        }
        self.begun = true;
        if field.contains(['"', ',', '\r', '\n']) {
            self.text.push('"');
            self.text.push_str(&field.replace('"', "\"\""));
            self.text.push('"');
        } else {
            self.text.push_str(field);
        }
    }

    fn end(&mut self, out: &mut impl Write) -> io::Result<()> {
        self.text.push_str("\r\n");
        let written = out.write_all(self.text.as_bytes());
        self.text.clear();
        self.begun = false;
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_what_would_break_a_record() {
        let mut line = Line::default();
        for field in ["plain", "a,b", "say \"no\"", "two\nlines", ""] {
            line.field(field);
        }
        let mut out = Vec::new();
        line.end(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "plain,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\r\n");
    }
}
