//! JSON Lines: one object a report, integers in base units, `null` for unknown values. A released key never changes.

use std::io::{self, Write};

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::format;
use net_traffic_view::{Column, Facts, Report, Scalar, Table, Value};

/// The version of the schema.
pub const SCHEMA: &str = "net-traffic/1";

/// Writes the report and ends the line.
///
/// # Errors
/// Those of the writer.
pub fn write(out: &mut impl Write, report: &Report<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *out, &ReportJson(report))?;
    out.write_all(b"\n")
}

struct ReportJson<'r, 'm>(&'r Report<'m>);
struct TableJson<'r, 'm>(&'r Table<'m>, bool);
struct RowJson<'r, 'm>(&'static [Column], &'r [Value<'m>], bool);
struct FactsJson<'r, 'm>(&'r Facts<'m>);
struct ValueJson<'m>(Value<'m>);

impl Serialize for ReportJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let report = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("schema", SCHEMA)?;
        map.serialize_entry("report", report.view)?;
        map.serialize_entry("time", &format::rfc3339(report.unix_ns))?;
        map.serialize_entry("host", report.host)?;
        map.serialize_entry("elapsed_s", &seconds(report.elapsed_ns))?;
        for table in &report.tables {
            if let Some(key) = table.key {
                map.serialize_entry(key, &TableJson(table, report.has_names))?;
            }
        }
        for (key, value) in &report.facts {
            map.serialize_entry(key, &ValueJson(*value))?;
        }
        map.serialize_entry("loss", &FactsJson(&report.loss))?;
        map.serialize_entry("cost", &FactsJson(&report.cost))?;
        map.serialize_entry("sources", &TableJson(&report.sources, report.has_names))?;
        map.end()
    }
}

impl Serialize for TableJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.rows();
        let mut list = serializer.serialize_seq(Some(rows.len()))?;
        for row in rows {
            list.serialize_element(&RowJson(self.0.columns, row, self.1))?;
        }
        list.end()
    }
}

impl Serialize for RowJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (column, value) in self.0.iter().zip(self.1).filter(|(column, _)| column.is_written(self.2)) {
            map.serialize_entry(column.key, &ValueJson(*value))?;
        }
        map.end()
    }
}

impl Serialize for FactsJson<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key, ValueJson(*value))))
    }
}

impl Serialize for ValueJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.scalar() {
            Scalar::Null => serializer.serialize_none(),
            Scalar::Text(text) => serializer.serialize_str(text),
            Scalar::Id(number) => serializer.collect_str(&number),
            Scalar::Flag(flag) => serializer.serialize_bool(flag),
            Scalar::Unsigned(number) => serializer.serialize_u64(number),
            Scalar::Signed(number) => serializer.serialize_i64(number),
            Scalar::Address(address) => serializer.collect_str(&address),
            Scalar::Endpoint(address, port) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("address", &address)?;
                map.serialize_entry("port", &port)?;
                map.end()
            }
        }
    }
}

/// Seconds to the microsecond. A single division gives the nearest number, which prints with the fewest digits.
#[expect(clippy::cast_precision_loss, reason = "exact for 285 years")]
fn seconds(ns: u64) -> f64 {
    (ns / 1000) as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_print_at_most_six_decimals() {
        assert_eq!(seconds(1_200_430_999).to_string(), "1.20043");
        assert_eq!(seconds(86_400_123_456_789).to_string(), "86400.123456");
    }
}
