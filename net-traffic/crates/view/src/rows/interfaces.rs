//! The table of interfaces: counters, and in `bandwidth` also rates now, on average and at most.

use crate::{Column, Series, Shown, Table, Value};
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

/// For a list of counters.
pub(crate) const COUNTERS: &[Shown] = &[
    Shown::whole("IFACE", "name"),
    Shown::whole("RX", "rx_bytes"),
    Shown::whole("TX", "tx_bytes"),
    Shown::whole("RX-PKT", "rx_packets"),
    Shown::whole("TX-PKT", "tx_packets"),
    Shown::whole("ERRORS", "errors"),
    Shown::whole("DROPPED", "dropped"),
];

/// For a list of rates.
pub(crate) const RATES: &[Shown] = &[
    Shown::whole("IFACE", "name"),
    Shown::whole("RX/s", "rx_bps"),
    Shown::whole("TX/s", "tx_bps"),
    Shown::ranked("RX-AVG", "rx_average_bps", 2),
    Shown::ranked("TX-AVG", "tx_average_bps", 2),
    Shown::ranked("RX-MAX", "rx_most_bps", 3),
    Shown::ranked("TX-MAX", "tx_most_bps", 3),
    Shown::whole("RX", "rx_bytes"),
    Shown::whole("TX", "tx_bytes"),
    Shown::ranked("RX-PKT", "rx_packets", 4),
    Shown::ranked("TX-PKT", "tx_packets", 4),
    Shown::whole("ERRORS", "errors"),
    Shown::whole("DROPPED", "dropped"),
];

/// For a screen.
pub(crate) const LIVE: &[Shown] = &[
    Shown::whole("IFACE", "name"),
    Shown::whole("RX/s", "rx_bps"),
    Shown::whole("TX/s", "tx_bps"),
    Shown::ranked("RX-AVG", "rx_average_bps", 5),
    Shown::ranked("TX-AVG", "tx_average_bps", 5),
    Shown::ranked("RX-MAX", "rx_most_bps", 6),
    Shown::ranked("TX-MAX", "tx_most_bps", 6),
    Shown::ranked("RX", "rx_bytes", 4),
    Shown::ranked("TX", "tx_bytes", 4),
    Shown::ranked("RX-PKT", "rx_packets", 7),
    Shown::ranked("TX-PKT", "tx_packets", 7),
    Shown::ranked("ERRORS", "errors", 2),
    Shown::ranked("DROPPED", "dropped", 2),
];

const MARKDOWN: &[Shown] = &[
    Shown::whole("Interface", "name"),
    Shown::plain("RX (bytes)", "rx_bytes"),
    Shown::plain("TX (bytes)", "tx_bytes"),
    Shown::whole("RX (pkt)", "rx_packets"),
    Shown::whole("TX (pkt)", "tx_packets"),
    Shown::whole("Errors", "errors"),
];

/// The table of the selected interfaces, in the machine's order.
pub(crate) fn table<'m>(model: &'m Model, text: &'static [Shown]) -> Table<'m> {
    let cells = model.interfaces().flat_map(row).collect();
    let title = "Interface statistics".to_owned();
    Table { key: Some("interfaces"), title, columns: COLUMNS, text, markdown: MARKDOWN, cells, omitted: 0 }
}

/// The remembered rates of the selected interfaces.
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

/// The values of one interface, in the order of the columns.
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
