//! The table of processes.

use super::connections::container;
use super::usage::Usage;
use crate::{Column, Shown, Table, Value};

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

const TEXT: &[Shown] = &[
    Shown::whole("PID", "pid"),
    Shown::whole("USER", "user"),
    Shown::whole("PROCESS", "process"),
    Shown::ranked("CONNS", "connections", 4),
    Shown::whole("RX/s", "rx_bps"),
    Shown::whole("TX/s", "tx_bps"),
    Shown::whole("RX", "rx_bytes"),
    Shown::whole("TX", "tx_bytes"),
    Shown::ranked("CONTAINER", "container", 2),
    Shown::ranked("EXITED", "exited", 3),
];

/// For a screen, where what has ended is dim.
pub(crate) const LIVE: &[Shown] = &[
    Shown::ranked("PID", "pid", 1),
    Shown::ranked("USER", "user", 4),
    Shown::whole("PROCESS", "process"),
    Shown::ranked("CONNS", "connections", 5),
    Shown::whole("RX/s", "rx_bps"),
    Shown::whole("TX/s", "tx_bps"),
    Shown::ranked("RX", "rx_bytes", 2),
    Shown::ranked("TX", "tx_bytes", 2),
    Shown::ranked("CONTAINER", "container", 3),
];

const MARKDOWN: &[Shown] = &[
    Shown::whole("PID", "pid"),
    Shown::whole("Process", "process"),
    Shown::whole("Connections", "connections"),
    Shown::plain("RX (bytes)", "rx_bytes"),
    Shown::plain("TX (bytes)", "tx_bytes"),
];

/// The table of these processes, in their order.
pub(crate) fn table<'m>(usages: &[Usage<'m>]) -> Table<'m> {
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

/// The values of one process, in the order of the columns.
pub(crate) fn row<'m>(usage: &Usage<'m>) -> [Value<'m>; COLUMNS.len()] {
    let process = &usage.state.process;
    [
        Value::of(usage.state.pid(), |pid| Value::Count(u64::from(pid))),
        Value::Text(usage.state.name()),
        process.user.as_deref().map_or_else(|| Value::of(process.uid, Value::Id), Value::Text),
        Value::maybe_text(container(usage.state)),
        Value::Count(usage.connections),
        Value::of(usage.bytes, |bytes| Value::Bytes(bytes.rx)),
        Value::of(usage.bytes, |bytes| Value::Bytes(bytes.tx)),
        Value::of(usage.rates.rx_bps, Value::Rate),
        Value::of(usage.rates.tx_bps, Value::Rate),
        Value::Flag(process.exited),
    ]
}
