//! The columns of a layout, resolved once for each table.

use super::{Units, format};
use net_traffic_view::{CellPart, ColumnKind, ColumnSpec, Table, Value};

/// A column of a layout with its places in a row.
pub(super) struct RenderedColumn {
    pub heading: &'static str,
    pub kind: ColumnKind,
    /// The order of omission on a narrow terminal: the highest rank first, 0 never.
    pub rank: u8,
    place: usize,
    /// The place of a host name that replaces the value, if the row has one.
    name: Option<usize>,
    part: CellPart,
}

impl RenderedColumn {
    /// Appends the cell of this row.
    pub(super) fn write(&self, text: &mut String, row: &[Value<'_>], units: Option<Units>) {
        let value = row.get(self.place).copied().unwrap_or(Value::Unknown);
        match self.name.and_then(|name| row.get(name)) {
            Some(Value::Text(name)) => format::write_named(text, name, value, self.part),
            _ => format::write(text, value, self.part, units),
        }
    }
}

/// The columns of a layout, in its order.
pub(super) fn rendered_columns(table: &Table<'_>, layout: &'static [ColumnSpec]) -> Vec<RenderedColumn> {
    layout
        .iter()
        .filter_map(|spec| {
            let place = table.column(spec.key)?;
            let kind = match spec.part {
                CellPart::Port => ColumnKind::Number,
                CellPart::Whole | CellPart::Address | CellPart::Plain => table.columns.get(place)?.kind,
            };
            let name = spec.name.and_then(|name| table.column(name));
            Some(RenderedColumn {
                heading: spec.heading,
                kind,
                rank: spec.rank,
                place,
                name,
                part: spec.part,
            })
        })
        .collect()
}
