//! The table of what arrived at the interfaces before anything could drop it, where that was asked for.

use crate::{Column, ColumnSpec, Table, Value};
use net_traffic_model::{Model, XdpRx};

const COLUMNS: &[Column] = &[
    Column::text("interface"),
    Column::text("mode"),
    Column::number("xdp_packets"),
    Column::number("xdp_bytes"),
    Column::number("dropped_packets"),
    Column::number("dropped_bytes"),
];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("IFACE", "interface"),
    ColumnSpec::whole("XDP", "mode"),
    ColumnSpec::whole("PACKETS", "xdp_packets"),
    ColumnSpec::whole("BYTES", "xdp_bytes"),
    ColumnSpec::whole("DROPPED", "dropped_packets"),
    ColumnSpec::whole("DROP-BYTES", "dropped_bytes"),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Interface", "interface"),
    ColumnSpec::whole("XDP", "mode"),
    ColumnSpec::plain("Packets", "xdp_packets"),
    ColumnSpec::plain("Bytes", "xdp_bytes"),
    ColumnSpec::plain("Dropped (packets)", "dropped_packets"),
    ColumnSpec::plain("Dropped (bytes)", "dropped_bytes"),
];

/// `None` where nobody asked, so that reports without it are as they were.
pub(crate) fn table(model: &Model) -> Option<Table<'_>> {
    let cells: Vec<Value<'_>> = model.xdp_rx().flat_map(row).collect();
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

fn row(arrivals: XdpRx<'_>) -> [Value<'_>; COLUMNS.len()] {
    [
        Value::Text(arrivals.interface),
        Value::Text(if arrivals.native { "native" } else { "generic" }),
        Value::Count(arrivals.packets),
        Value::Bytes(arrivals.bytes),
        Value::Count(arrivals.dropped_packets),
        Value::Bytes(arrivals.dropped_bytes),
    ]
}
