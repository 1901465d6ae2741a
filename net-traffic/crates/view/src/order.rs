//! Sorts and cuts the rows of a table.

use std::cmp::{Ordering, Reverse};

use super::{ColumnKind, Options, Table, Value};

/// Brings the rows into the order that the options ask for, if the table has that column, and keeps at most as many
/// as are wanted. `brief` is how many people want to see.
pub(super) fn arrange(table: &mut Table<'_>, options: &Options, brief: usize) {
    let width = table.columns.len().max(1);
    let count = table.cells.len() / width;
    let limit = limit(options, brief).min(count);
    let by = options.sort.as_deref().and_then(|key| table.column(key));
    if let Some(by) = by {
        let ascending =
            table.columns.get(by).is_some_and(|column| column.kind != ColumnKind::Number) != options.reverse;
        let mut order: Vec<usize> = (0..count).collect();
        let value = |row: &usize| table.cells.get(row * width + by).copied().unwrap_or(Value::Unknown);
        order.sort_by(|one, other| compare(value(one), value(other), ascending));
        order.truncate(limit);
        table.cells = order
            .iter()
            .flat_map(|row| table.cells[row * width..(row + 1) * width].iter().copied())
            .collect();
    } else {
        table.cells.truncate(limit * width);
    }
    table.omitted += count - limit;
}

/// The rows that can be among those that are kept: of those in their own order the first, so that the others need no
/// values.
pub(super) fn leading<'r, T>(rows: &'r [T], options: &Options, brief: usize) -> &'r [T] {
    let limit = if options.sort.is_none() { limit(options, brief) } else { usize::MAX };
    &rows[..limit.min(rows.len())]
}

fn limit(options: &Options, brief: usize) -> usize {
    options.limit.or(options.brief.then_some(brief)).unwrap_or(usize::MAX)
}

/// The unknown comes last, in either direction.
fn compare(one: Value<'_>, other: Value<'_>, ascending: bool) -> Ordering {
    match (one, other) {
        (Value::Unknown, Value::Unknown) => Ordering::Equal,
        (Value::Unknown, _) => Ordering::Greater,
        (_, Value::Unknown) => Ordering::Less,
        (one, other) if ascending => rank(one).cmp(&rank(other)),
        (one, other) => Reverse(rank(one)).cmp(&Reverse(rank(other))),
    }
}

/// Values of one column are of one kind, so that only one part differs.
pub(super) fn rank(value: Value<'_>) -> (u64, &str, Option<(std::net::IpAddr, u16)>) {
    match value {
        Value::Unknown => (0, "", None),
        Value::Text(text) => (0, text, None),
        Value::Label(label) => (0, label.id, None),
        Value::Id(number) => (u64::from(number), "", None),
        Value::Flag(flag) => (u64::from(flag), "", None),
        Value::Count(number)
        | Value::Bytes(number)
        | Value::Rate(number)
        | Value::LinkRate(number)
        | Value::Microseconds(number)
        | Value::Milliseconds(number)
        | Value::Nanoseconds(number) => (number, "", None),
        // With the sign bit turned over, the order is that of numbers without a sign.
        Value::Difference(number) => (number.cast_unsigned() ^ 1 << 63, "", None),
        Value::Address(address) => (0, "", Some((address, 0))),
        Value::Endpoint { address, port } => (0, "", Some((address, port))),
    }
}
