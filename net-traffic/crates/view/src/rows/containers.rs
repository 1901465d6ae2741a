//! The table of containers: the sums of their processes, including ended ones.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::usage::{ProcessUsage, add_bytes, add_rates};
use crate::{Column, ColumnSpec, Table, Value};
use net_traffic_model::{Bytes, Model, Rates};

pub(crate) const COLUMNS: &[Column] = &[
    Column::text("id"),
    Column::text("name"),
    Column::text("runtime"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::number("rx_bps"),
    Column::number("tx_bps"),
];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("CONTAINER", "name"),
    ColumnSpec::whole("RUNTIME", "runtime"),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
    ColumnSpec::ranked("ID", "id", 1),
];

/// For the screen.
pub(crate) const LIVE: &[ColumnSpec] = &[
    ColumnSpec::whole("CONTAINER", "name"),
    ColumnSpec::ranked("RUNTIME", "runtime", 3),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX", "rx_bytes", 2),
    ColumnSpec::ranked("TX", "tx_bytes", 2),
    ColumnSpec::ranked("ID", "id", 1),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Container", "name"),
    ColumnSpec::whole("Runtime", "runtime"),
    ColumnSpec::plain("RX (bytes)", "rx_bytes"),
    ColumnSpec::plain("TX (bytes)", "tx_bytes"),
];

/// Traffic of the processes of one container.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ContainerUsage<'m> {
    pub id: &'m str,
    pub name: Option<&'m str>,
    pub runtime: Option<&'m str>,
    pub bytes: Option<Bytes>,
    pub rates: Rates,
}

/// The table of the containers of these processes.
pub(crate) fn table<'m>(model: &'m Model, usages: &[ProcessUsage<'m>]) -> Table<'m> {
    let containers = sums(model, usages);
    let title = format!("Containers: {}", containers.len());
    Table {
        key: Some("containers"),
        title,
        columns: COLUMNS,
        text: TEXT,
        markdown: MARKDOWN,
        cells: containers.iter().flat_map(row).collect(),
        omitted: 0,
    }
}

/// The containers of these processes, the busiest first.
pub(crate) fn sums<'m>(model: &'m Model, usages: &[ProcessUsage<'m>]) -> Vec<ContainerUsage<'m>> {
    let mut containers: BTreeMap<&str, ContainerUsage<'m>> = BTreeMap::new();
    for usage in usages {
        let Some(id) = usage.state.process.container.as_deref() else { continue };
        let sum = containers.entry(id).or_insert_with(|| {
            let known = model.container(id);
            ContainerUsage {
                id,
                name: known.and_then(|known| known.name.as_deref()),
                runtime: known.map(|known| known.runtime.as_str()),
                bytes: None,
                rates: Rates::default(),
            }
        });
        sum.name = usage.state.container_name.as_deref().or(sum.name);
        sum.bytes = add_bytes(sum.bytes, usage.bytes);
        sum.rates = add_rates(sum.rates, usage.rates);
    }
    let mut containers: Vec<_> = containers.into_values().collect();
    containers.sort_by_key(|it| {
        let total = it.bytes.map(|bytes| bytes.rx.saturating_add(bytes.tx));
        (Reverse((it.rates.total(), total)), it.id)
    });
    containers
}

/// The cells of one container, in the order of the columns.
pub(crate) fn row<'m>(usage: &ContainerUsage<'m>) -> [Value<'m>; COLUMNS.len()] {
    [
        Value::Text(usage.id),
        Value::maybe_text(usage.name),
        Value::maybe_text(usage.runtime),
        Value::of(usage.bytes, |bytes| Value::Bytes(bytes.rx)),
        Value::of(usage.bytes, |bytes| Value::Bytes(bytes.tx)),
        Value::of(usage.rates.rx_bps, Value::Rate),
        Value::of(usage.rates.tx_bps, Value::Rate),
    ]
}
