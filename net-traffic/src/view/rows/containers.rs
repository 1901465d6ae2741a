//! The table of containers: the sums of their processes, of those that have ended too.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::usage::{Usage, add_bytes, add_rates};
use crate::model::{Bytes, Model, Rates};
use crate::view::{Column, Shown, Table, Value};

const COLUMNS: &[Column] = &[
    Column::text("id"),
    Column::text("name"),
    Column::text("runtime"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::number("rx_bps"),
    Column::number("tx_bps"),
];

const TEXT: &[Shown] = &[
    Shown::whole("CONTAINER", "name"),
    Shown::whole("RUNTIME", "runtime"),
    Shown::whole("RX/s", "rx_bps"),
    Shown::whole("TX/s", "tx_bps"),
    Shown::whole("RX", "rx_bytes"),
    Shown::whole("TX", "tx_bytes"),
    Shown::ranked("ID", "id", 1),
];

const MARKDOWN: &[Shown] = &[
    Shown::whole("Container", "name"),
    Shown::whole("Runtime", "runtime"),
    Shown::plain("RX (bytes)", "rx_bytes"),
    Shown::plain("TX (bytes)", "tx_bytes"),
];

/// The containers of these processes, who moved most first.
pub(crate) fn table<'m>(model: &'m Model, usages: &[Usage<'m>]) -> Table<'m> {
    let mut containers: BTreeMap<&str, (Option<&str>, Option<Bytes>, Rates)> = BTreeMap::new();
    for usage in usages {
        let Some(id) = usage.state.process.container.as_deref() else { continue };
        let (name, bytes, rates) = containers.entry(id).or_default();
        *name = name.or(usage.state.container_name.as_deref());
        *bytes = add_bytes(*bytes, usage.bytes);
        *rates = add_rates(*rates, usage.rates);
    }
    let mut containers: Vec<_> = containers.into_iter().collect();
    containers.sort_by_key(|(id, (_, bytes, rates))| {
        (Reverse((rates.total(), bytes.map(|bytes| bytes.rx.saturating_add(bytes.tx)))), *id)
    });
    let mut cells = Vec::with_capacity(containers.len() * COLUMNS.len());
    for (id, (name, bytes, rates)) in &containers {
        let known = model.container(id);
        cells.extend([
            Value::Text(id),
            Value::maybe_text(name.or(known.and_then(|known| known.name.as_deref()))),
            Value::maybe_text(known.map(|known| known.runtime.as_str())),
            Value::of(*bytes, |bytes| Value::Bytes(bytes.rx)),
            Value::of(*bytes, |bytes| Value::Bytes(bytes.tx)),
            Value::of(rates.rx_bps, Value::Rate),
            Value::of(rates.tx_bps, Value::Rate),
        ]);
    }
    let title = format!("Containers: {}", containers.len());
    Table {
        key: Some("containers"),
        title,
        columns: COLUMNS,
        text: TEXT,
        markdown: MARKDOWN,
        cells,
        omitted: 0,
    }
}
