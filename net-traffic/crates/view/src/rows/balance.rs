//! The table of balances: the parts of each interface's byte counter, by direction.

use crate::{Column, ColumnSpec, Table, Value};
use net_traffic_model::{Balance, Direction, Model};

const COLUMNS: &[Column] = &[
    Column::text("interface"),
    Column::text("direction"),
    Column::number("interface_bytes"),
    Column::number("process_payload_bytes"),
    Column::number("overhead_bytes"),
    Column::number("forwarded_bytes"),
    Column::number("kernel_bytes"),
    Column::number("unattributed_bytes"),
];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("IFACE", "interface"),
    ColumnSpec::whole("DIR", "direction"),
    ColumnSpec::whole("COUNTED", "interface_bytes"),
    ColumnSpec::whole("PAYLOAD", "process_payload_bytes"),
    ColumnSpec::whole("OVERHEAD", "overhead_bytes"),
    ColumnSpec::whole("FORWARDED", "forwarded_bytes"),
    ColumnSpec::whole("KERNEL", "kernel_bytes"),
    ColumnSpec::whole("UNATTRIBUTED", "unattributed_bytes"),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Interface", "interface"),
    ColumnSpec::whole("Direction", "direction"),
    ColumnSpec::plain("Counted (bytes)", "interface_bytes"),
    ColumnSpec::plain("Payload", "process_payload_bytes"),
    ColumnSpec::plain("Overhead", "overhead_bytes"),
    ColumnSpec::plain("Forwarded", "forwarded_bytes"),
    ColumnSpec::plain("Kernel", "kernel_bytes"),
    ColumnSpec::plain("Unattributed", "unattributed_bytes"),
];

/// The balance of the selected interfaces. Without interface accounting the table has no rows, and people do not see
/// it.
pub(crate) fn table(model: &Model) -> Table<'_> {
    let cells: Vec<Value<'_>> = model.balance().flat_map(row).collect();
    let (text, markdown) = if cells.is_empty() { (&[][..], &[][..]) } else { (TEXT, MARKDOWN) };
    let title = "Balance".to_owned();
    Table { key: Some("balance"), title, columns: COLUMNS, text, markdown, cells, omitted: 0 }
}

fn row(balance: Balance<'_>) -> [Value<'_>; COLUMNS.len()] {
    [
        Value::Text(balance.interface),
        Value::Text(match balance.direction {
            Direction::Rx => "rx",
            Direction::Tx => "tx",
        }),
        Value::Bytes(balance.interface_bytes),
        Value::Bytes(balance.process_payload_bytes),
        Value::Bytes(balance.overhead_bytes),
        Value::Bytes(balance.forwarded_bytes),
        Value::Bytes(balance.kernel_bytes),
        Value::Difference(balance.unattributed_bytes),
    ]
}
