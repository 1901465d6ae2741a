//! The table of balances: of each interface and direction, whose the bytes were.

use crate::{Column, Shown, Table, Value};
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

const TEXT: &[Shown] = &[
    Shown::whole("IFACE", "interface"),
    Shown::whole("DIR", "direction"),
    Shown::whole("COUNTED", "interface_bytes"),
    Shown::whole("PAYLOAD", "process_payload_bytes"),
    Shown::whole("OVERHEAD", "overhead_bytes"),
    Shown::whole("FORWARDED", "forwarded_bytes"),
    Shown::whole("KERNEL", "kernel_bytes"),
    Shown::whole("UNATTRIBUTED", "unattributed_bytes"),
];

const MARKDOWN: &[Shown] = &[
    Shown::whole("Interface", "interface"),
    Shown::whole("Direction", "direction"),
    Shown::plain("Counted (bytes)", "interface_bytes"),
    Shown::plain("Payload", "process_payload_bytes"),
    Shown::plain("Overhead", "overhead_bytes"),
    Shown::plain("Forwarded", "forwarded_bytes"),
    Shown::plain("Kernel", "kernel_bytes"),
    Shown::plain("Unattributed", "unattributed_bytes"),
];

/// The balance of the selected interfaces. Where nothing watches them there is none: no zeros, no guess, and for
/// people no empty table.
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
