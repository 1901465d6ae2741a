//! The table of interfaces: counters, and in `bandwidth` also current, average and highest rates.

use crate::{Column, ColumnSpec, Series, Table, Value};
use net_traffic_model::{InterfaceState, Model};

pub(crate) const COLUMNS: &[Column] = &[
    Column::text("name"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::number("rx_packets"),
    Column::number("tx_packets"),
    Column::number("rx_errors"),
    Column::number("tx_errors"),
    Column::number("rx_dropped"),
    Column::number("tx_dropped"),
    Column::number("rx_bps"),
    Column::number("tx_bps"),
    Column::derived("errors"),
    Column::derived("dropped"),
    Column::derived("rx_average_bps"),
    Column::derived("tx_average_bps"),
    Column::derived("rx_most_bps"),
    Column::derived("tx_most_bps"),
];

/// Counters alone, for a single snapshot.
pub(crate) const COUNTERS: &[ColumnSpec] = &[
    ColumnSpec::whole("IFACE", "name"),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
    ColumnSpec::whole("RX-PKT", "rx_packets"),
    ColumnSpec::whole("TX-PKT", "tx_packets"),
    ColumnSpec::whole("ERRORS", "errors"),
    ColumnSpec::whole("DROPPED", "dropped"),
];

/// Rates and counters.
pub(crate) const RATES: &[ColumnSpec] = &[
    ColumnSpec::whole("IFACE", "name"),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX-AVG", "rx_average_bps", 2),
    ColumnSpec::ranked("TX-AVG", "tx_average_bps", 2),
    ColumnSpec::ranked("RX-MAX", "rx_most_bps", 3),
    ColumnSpec::ranked("TX-MAX", "tx_most_bps", 3),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
    ColumnSpec::ranked("RX-PKT", "rx_packets", 4),
    ColumnSpec::ranked("TX-PKT", "tx_packets", 4),
    ColumnSpec::whole("ERRORS", "errors"),
    ColumnSpec::whole("DROPPED", "dropped"),
];

/// For the screen.
pub(crate) const LIVE: &[ColumnSpec] = &[
    ColumnSpec::whole("IFACE", "name"),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX-AVG", "rx_average_bps", 5),
    ColumnSpec::ranked("TX-AVG", "tx_average_bps", 5),
    ColumnSpec::ranked("RX-MAX", "rx_most_bps", 6),
    ColumnSpec::ranked("TX-MAX", "tx_most_bps", 6),
    ColumnSpec::ranked("RX", "rx_bytes", 4),
    ColumnSpec::ranked("TX", "tx_bytes", 4),
    ColumnSpec::ranked("RX-PKT", "rx_packets", 7),
    ColumnSpec::ranked("TX-PKT", "tx_packets", 7),
    ColumnSpec::ranked("ERRORS", "errors", 2),
    ColumnSpec::ranked("DROPPED", "dropped", 2),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Interface", "name"),
    ColumnSpec::plain("RX (bytes)", "rx_bytes"),
    ColumnSpec::plain("TX (bytes)", "tx_bytes"),
    ColumnSpec::whole("RX (pkt)", "rx_packets"),
    ColumnSpec::whole("TX (pkt)", "tx_packets"),
    ColumnSpec::whole("Errors", "errors"),
];

/// The table of the selected interfaces, in snapshot order.
pub(crate) fn table<'m>(model: &'m Model, text: &'static [ColumnSpec]) -> Table<'m> {
    let cells = model.interfaces().flat_map(row).collect();
    let title = "Interface statistics".to_owned();
    Table { key: Some("interfaces"), title, columns: COLUMNS, text, markdown: MARKDOWN, cells, omitted: 0 }
}

/// The recent rates of the selected interfaces.
pub(crate) fn series(model: &Model) -> Vec<Series<'_>> {
    let both = |state: &'_ InterfaceState| {
        let history: Vec<_> = state.history.iter().collect();
        let rx = history.iter().map(|rates| rates.rx_bps).collect();
        let tx = history.iter().map(|rates| rates.tx_bps).collect();
        (rx, tx)
    };
    let mut series = Vec::new();
    for state in model.interfaces() {
        let (rx, tx) = both(state);
        let of = state.interface.name.as_str();
        series.push(Series { of, key: "rx_bps", points: rx });
        series.push(Series { of, key: "tx_bps", points: tx });
    }
    series
}

/// The cells of one interface, in the order of the columns.
pub(crate) fn row(state: &InterfaceState) -> [Value<'_>; COLUMNS.len()] {
    let (rx, tx) = (&state.interface.rx, &state.interface.tx);
    [
        Value::Text(&state.interface.name),
        Value::Bytes(rx.bytes),
        Value::Bytes(tx.bytes),
        Value::Count(rx.packets),
        Value::Count(tx.packets),
        Value::Count(rx.errors),
        Value::Count(tx.errors),
        Value::Count(rx.dropped),
        Value::Count(tx.dropped),
        Value::of(state.rates.rx_bps, Value::LinkRate),
        Value::of(state.rates.tx_bps, Value::LinkRate),
        Value::Count(rx.errors.saturating_add(tx.errors)),
        Value::Count(rx.dropped.saturating_add(tx.dropped)),
        Value::of(state.average.rx_bps, Value::LinkRate),
        Value::of(state.average.tx_bps, Value::LinkRate),
        Value::of(state.most.rx_bps, Value::LinkRate),
        Value::of(state.most.tx_bps, Value::LinkRate),
    ]
}
