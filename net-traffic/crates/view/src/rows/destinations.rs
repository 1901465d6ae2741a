//! The table of remote hosts.

use std::cmp::Reverse;
use std::net::IpAddr;

use foldhash::HashMap;

use super::usage::HostUsage;
use crate::{Column, ColumnSpec, Table, Value};

const COLUMNS: &[Column] = &[
    Column::text("address"),
    Column::number("connections"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::derived("bytes"),
    Column::host_name("name"),
];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("ADDRESS", "address").named("name"),
    ColumnSpec::whole("CONNECTIONS", "connections"),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
];

/// The columns on the full screen, which also has the rates of open connections.
pub(crate) const LIVE_COLUMNS: &[Column] = &[
    Column::text("address"),
    Column::number("connections"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::number("rx_bps"),
    Column::number("tx_bps"),
    Column::host_name("name"),
];

/// How the full screen shows [`LIVE_COLUMNS`].
pub(crate) const LIVE: &[ColumnSpec] = &[
    ColumnSpec::whole("ADDRESS", "address").named("name"),
    ColumnSpec::ranked("CONNS", "connections", 1),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX", "rx_bytes", 2),
    ColumnSpec::ranked("TX", "tx_bytes", 2),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("IP", "address").named("name"),
    ColumnSpec::whole("Connections", "connections"),
    ColumnSpec::plain("Bytes", "bytes"),
];

/// The number of rows in a brief report.
pub(crate) const BRIEF: usize = 10;

/// The table of remote hosts, sorted by total bytes, the largest first.
pub(crate) fn table<'m>(hosts: HashMap<Option<IpAddr>, HostUsage<'m>>) -> Table<'m> {
    let mut hosts: Vec<(Option<IpAddr>, HostUsage<'m>)> = hosts.into_iter().collect();
    hosts.sort_unstable_by_key(|(address, host)| {
        (Reverse((total(host), host.connections)), address.is_none(), *address)
    });
    let mut cells = Vec::with_capacity(hosts.len() * COLUMNS.len());
    for (address, host) in &hosts {
        cells.extend([
            Value::of(*address, Value::Address),
            Value::Count(host.connections),
            Value::of(host.bytes, |bytes| Value::Bytes(bytes.rx)),
            Value::of(host.bytes, |bytes| Value::Bytes(bytes.tx)),
            Value::of(total(host), Value::Bytes),
            Value::maybe_text(host.name),
        ]);
    }
    let title = "Top destinations".to_owned();
    Table {
        key: Some("destinations"),
        title,
        columns: COLUMNS,
        text: TEXT,
        markdown: MARKDOWN,
        cells,
        omitted: 0,
    }
}

/// The cells of one host, in the order of `LIVE_COLUMNS`.
pub(crate) fn live_row<'m>(
    (address, host): &(Option<IpAddr>, HostUsage<'m>),
) -> [Value<'m>; LIVE_COLUMNS.len()] {
    [
        Value::of(*address, Value::Address),
        Value::Count(host.connections),
        Value::of(host.bytes, |bytes| Value::Bytes(bytes.rx)),
        Value::of(host.bytes, |bytes| Value::Bytes(bytes.tx)),
        Value::of(host.rates.rx_bps, Value::Rate),
        Value::of(host.rates.tx_bps, Value::Rate),
        Value::maybe_text(host.name),
    ]
}

fn total(host: &HostUsage<'_>) -> Option<u64> {
    host.bytes.map(|bytes| bytes.rx.saturating_add(bytes.tx))
}
