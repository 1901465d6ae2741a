//! The table of XDP receive counters (`bandwidth --xdp`): packets before and after the drops in between.

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

/// `None` without `--xdp`.
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

fn row(xdp_rx: XdpRx<'_>) -> [Value<'_>; COLUMNS.len()] {
    [
        Value::Text(xdp_rx.interface),
        Value::Text(if xdp_rx.native { "native" } else { "generic" }),
        Value::Count(xdp_rx.packets),
        Value::Bytes(xdp_rx.bytes),
        Value::Count(xdp_rx.dropped_packets),
        Value::Bytes(xdp_rx.dropped_bytes),
    ]
}
