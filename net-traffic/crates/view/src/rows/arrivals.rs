//! The table of what arrived at the interfaces before anything could drop it, where that was asked for.

use crate::{Column, Shown, Table, Value};
use net_traffic_model::{Arrivals, Model};

const COLUMNS: &[Column] = &[
    Column::text("interface"),
    Column::text("mode"),
    Column::number("xdp_packets"),
    Column::number("xdp_bytes"),
    Column::number("dropped_packets"),
    Column::number("dropped_bytes"),
];

const TEXT: &[Shown] = &[
    Shown::whole("IFACE", "interface"),
    Shown::whole("XDP", "mode"),
    Shown::whole("PACKETS", "xdp_packets"),
    Shown::whole("BYTES", "xdp_bytes"),
    Shown::whole("DROPPED", "dropped_packets"),
    Shown::whole("DROP-BYTES", "dropped_bytes"),
];

const MARKDOWN: &[Shown] = &[
    Shown::whole("Interface", "interface"),
    Shown::whole("XDP", "mode"),
    Shown::plain("Packets", "xdp_packets"),
    Shown::plain("Bytes", "xdp_bytes"),
    Shown::plain("Dropped (packets)", "dropped_packets"),
    Shown::plain("Dropped (bytes)", "dropped_bytes"),
];

/// `None` where nobody asked, so that reports without it are as they were.
pub(crate) fn table(model: &Model) -> Option<Table<'_>> {
    let cells: Vec<Value<'_>> = model.arrivals().flat_map(row).collect();
    let title = "Arrived".to_owned();
    (!cells.is_empty()).then_some(Table {
        key: Some("arrivals"),
        title,
        columns: COLUMNS,
        text: TEXT,
        markdown: MARKDOWN,
        cells,
        omitted: 0,
    })
}

fn row(arrivals: Arrivals<'_>) -> [Value<'_>; COLUMNS.len()] {
    [
        Value::Text(arrivals.interface),
        Value::Text(if arrivals.native { "native" } else { "generic" }),
        Value::Count(arrivals.packets),
        Value::Bytes(arrivals.bytes),
        Value::Count(arrivals.dropped_packets),
        Value::Bytes(arrivals.dropped_bytes),
    ]
}
