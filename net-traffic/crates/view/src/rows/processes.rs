//! The table of processes.

use super::usage::ProcessUsage;
use crate::{Column, ColumnSpec, Table, Value};

pub(crate) const COLUMNS: &[Column] = &[
    Column::number("pid"),
    Column::text("process"),
    Column::text("user"),
    Column::text("container"),
    Column::number("connections"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::number("rx_bps"),
    Column::number("tx_bps"),
    Column::text("exited"),
];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("PID", "pid"),
    ColumnSpec::whole("USER", "user"),
    ColumnSpec::whole("PROCESS", "process"),
    ColumnSpec::ranked("CONNS", "connections", 4),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
    ColumnSpec::ranked("CONTAINER", "container", 2),
    ColumnSpec::ranked("EXITED", "exited", 3),
];

/// For the screen, which dims ended processes instead of a column EXITED.
pub(crate) const LIVE: &[ColumnSpec] = &[
    ColumnSpec::ranked("PID", "pid", 1),
    ColumnSpec::ranked("USER", "user", 4),
    ColumnSpec::whole("PROCESS", "process"),
    ColumnSpec::ranked("CONNS", "connections", 5),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX", "rx_bytes", 2),
    ColumnSpec::ranked("TX", "tx_bytes", 2),
    ColumnSpec::ranked("CONTAINER", "container", 3),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("PID", "pid"),
    ColumnSpec::whole("Process", "process"),
    ColumnSpec::whole("Connections", "connections"),
    ColumnSpec::plain("RX (bytes)", "rx_bytes"),
    ColumnSpec::plain("TX (bytes)", "tx_bytes"),
];

/// The table of these processes, in the given order.
pub(crate) fn table<'m>(usages: &[ProcessUsage<'m>]) -> Table<'m> {
    let mut cells = Vec::with_capacity(usages.len() * COLUMNS.len());
    for usage in usages {
        cells.extend(row(usage));
    }
    let title = format!("Processes: {}", usages.len());
    Table {
        key: Some("processes"),
        title,
        columns: COLUMNS,
        text: TEXT,
        markdown: MARKDOWN,
        cells,
        omitted: 0,
    }
}

/// The cells of one process, in the order of the columns.
pub(crate) fn row<'m>(usage: &ProcessUsage<'m>) -> [Value<'m>; COLUMNS.len()] {
    let process = &usage.state.process;
    [
        Value::of(usage.state.pid(), |pid| Value::Count(u64::from(pid))),
        Value::Text(usage.state.name()),
        process.user.as_deref().map_or_else(|| Value::of(process.uid, Value::Id), Value::Text),
        Value::maybe_text(usage.state.container_label()),
        Value::Count(usage.connections),
        Value::of(usage.bytes, |bytes| Value::Bytes(bytes.rx)),
        Value::of(usage.bytes, |bytes| Value::Bytes(bytes.tx)),
        Value::of(usage.rates.rx_bps, Value::Rate),
        Value::of(usage.rates.tx_bps, Value::Rate),
        Value::Flag(process.exited),
    ]
}
