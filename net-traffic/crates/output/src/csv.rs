//! CSV (RFC 4180): the report's main table, with the keys of the JSON as column names.

use std::io::{self, Write};

use super::format;
use net_traffic_view::{ColumnKind, Report, Scalar, Value};

/// The lines and columns beside the table itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// A first line with the column names.
    pub header: bool,
    /// A first column with the report's time, for a series of reports.
    pub time: bool,
}

/// Writes the main table.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, report: &Report<'_>, layout: Layout) -> io::Result<()> {
    let Layout { header, time } = layout;
    let Some(table) = report.tables.get(report.main) else { return Ok(()) };
    let columns =
        || table.columns.iter().enumerate().filter(|(_, column)| column.is_written(report.has_names));
    let mut line = Record::default();
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

/// A record under construction.
#[derive(Default)]
struct Record {
    text: String,
    begun: bool,
}

impl Record {
    fn value(&mut self, value: Value<'_>) {
        match value.scalar() {
            // An empty field: "-" would be a text in a column of numbers.
            Scalar::Null => self.field(""),
            Scalar::Text(text) => self.field(text),
            Scalar::Id(number) => self.field(&number.to_string()),
            Scalar::Flag(flag) => self.field(if flag { "true" } else { "false" }),
            Scalar::Unsigned(number) => self.field(&number.to_string()),
            Scalar::Signed(number) => self.field(&number.to_string()),
            Scalar::Address(address) => self.field(&address.to_string()),
            Scalar::Endpoint(address, port) => self.field(&format!("{address} {port}")),
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
    fn field_with_separator_is_quoted() {
        let mut line = Record::default();
        for field in ["plain", "a,b", "say \"no\"", "two\nlines", ""] {
            line.field(field);
        }
        let mut out = Vec::new();
        line.end(&mut out).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "plain,\"a,b\",\"say \"\"no\"\"\",\"two\nlines\",\r\n");
    }
}
