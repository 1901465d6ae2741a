//! The columns that people see, found once for each table.

use super::{Units, format};
use net_traffic_view::{CellPart, ColumnKind, ColumnSpec, Table, Value};

pub(super) struct RenderedColumn {
    pub heading: &'static str,
    pub kind: ColumnKind,
    /// On a narrow terminal the highest is left out first; 0 never is.
    pub rank: u8,
    place: usize,
    /// The place of a name that is written instead, where there is one.
    name: Option<usize>,
    part: CellPart,
}

impl RenderedColumn {
    /// Appends this field of the row.
    pub(super) fn write(&self, text: &mut String, row: &[Value<'_>], units: Option<Units>) {
        let value = row.get(self.place).copied().unwrap_or(Value::Unknown);
        match self.name.and_then(|name| row.get(name)) {
            Some(Value::Text(name)) => format::write_named(text, name, value, self.part),
            _ => format::write(text, value, self.part, units),
        }
    }
}

/// The fields in the order in which people see them.
pub(super) fn fields(table: &Table<'_>, shown: &'static [ColumnSpec]) -> Vec<RenderedColumn> {
    shown
        .iter()
        .filter_map(|shown| {
            let place = table.column(shown.key)?;
            let kind = match shown.part {
                CellPart::Port => ColumnKind::Number,
                CellPart::Whole | CellPart::Address | CellPart::Plain => table.columns.get(place)?.kind,
            };
            let name = shown.name.and_then(|name| table.column(name));
            Some(RenderedColumn {
                heading: shown.heading,
                kind,
                rank: shown.rank,
                place,
                name,
                part: shown.part,
            })
        })
        .collect()
}
