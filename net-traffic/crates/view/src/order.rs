//! The order of rows: sorts by a column and cuts at a limit.

use std::cmp::Ordering;
use std::net::IpAddr;

use super::{ColumnKind, Options, Scalar, Table, Value};

/// Sorts the rows by the column in the options, if the table has it, and cuts them at the limit. `brief` is the limit
/// of reports that people read.
pub(super) fn arrange(table: &mut Table<'_>, options: &Options, brief: usize) {
    let width = table.columns.len().max(1);
    let count = table.cells.len() / width;
    let limit = limit(options, brief).min(count);
    let sort = options.sort.as_deref().and_then(|key| table.column(key));
    if let Some(sort) = sort {
        let ascending = table.columns.get(sort).is_some_and(|column| column.kind != ColumnKind::Number)
            != options.reverse;
        let value = |row: usize| table.cells.get(row * width + sort).copied().unwrap_or(Value::Unknown);
        let mut order: Vec<(SortKey<'_>, usize)> =
            (0..count).map(|row| (SortKey::of(value(row)), row)).collect();
        order.sort_by(|(one, _), (other, _)| one.compare(other, ascending));
        order.truncate(limit);
        table.cells = order
            .iter()
            .flat_map(|(_, row)| table.cells[row * width..(row + 1) * width].iter().copied())
            .collect();
    } else {
        table.cells.truncate(limit * width);
    }
    table.omitted += count - limit;
}

/// The rows that [`arrange`] can keep: without a sort column the first ones, so that the others need no cells.
pub(super) fn leading<'r, T>(rows: &'r [T], options: &Options, brief: usize) -> &'r [T] {
    let limit = if options.sort.is_none() { limit(options, brief) } else { usize::MAX };
    &rows[..limit.min(rows.len())]
}

fn limit(options: &Options, brief: usize) -> usize {
    options.limit.or(options.brief.then_some(brief)).unwrap_or(usize::MAX)
}

/// A value in comparable form, computed once for each row and not at each comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SortKey<'m> {
    is_unknown: bool,
    /// Numbers and addresses; IPv4 comes before IPv6.
    number: (bool, u128, u16),
    text: &'m str,
}

impl<'m> SortKey<'m> {
    pub(super) fn of(value: Value<'m>) -> Self {
        let scalar = value.scalar();
        let unsigned = |number: u64| (false, u128::from(number), 0);
        let number = match scalar {
            Scalar::Null | Scalar::Text(_) => unsigned(0),
            Scalar::Id(number) => unsigned(number.into()),
            Scalar::Flag(flag) => unsigned(flag.into()),
            Scalar::Unsigned(number) => unsigned(number),
            // With the sign bit flipped, signed numbers sort as unsigned ones.
            Scalar::Signed(number) => unsigned(number.cast_unsigned() ^ 1 << 63),
            Scalar::Address(address) => endpoint(address, 0),
            Scalar::Endpoint(address, port) => endpoint(address, port),
        };
        let text = if let Scalar::Text(text) = scalar { text } else { "" };
        Self { is_unknown: scalar == Scalar::Null, number, text }
    }

    /// Unknown values come last in both directions.
    pub(super) fn compare(&self, other: &Self, ascending: bool) -> Ordering {
        let unknown = self.is_unknown.cmp(&other.is_unknown);
        let value = self.number.cmp(&other.number).then_with(|| self.text.cmp(other.text));
        unknown.then(if ascending { value } else { value.reverse() })
    }
}

fn endpoint(address: IpAddr, port: u16) -> (bool, u128, u16) {
    match address {
        IpAddr::V4(address) => (false, u128::from(address.to_bits()), port),
        IpAddr::V6(address) => (true, address.to_bits(), port),
    }
}
