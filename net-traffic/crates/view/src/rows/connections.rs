//! The table of connections.

use crate::{CellPart, Column, ColumnSpec, Table, Value, labels};
use net_traffic_model::{AttributedFlow, ProcessState, Protocol};

pub(crate) const COLUMNS: &[Column] = &[
    Column::text("protocol"),
    Column::endpoint("local"),
    Column::endpoint("remote"),
    Column::text("state"),
    Column::number("pid"),
    Column::text("process"),
    Column::text("user"),
    Column::text("container"),
    Column::number("netns"),
    Column::text("interface"),
    Column::number("rx_bytes"),
    Column::number("tx_bytes"),
    Column::number("rx_bps"),
    Column::number("tx_bps"),
    Column::number("rtt_us"),
    Column::number("retransmits"),
    Column::number("age_ms"),
    Column::text("closed"),
    Column::host_name("remote_name"),
];

/// For a list of what is connected.
pub(crate) const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("PID", "pid"),
    ColumnSpec::ranked("USER", "user", 1),
    ColumnSpec::whole("PROCESS", "process"),
    ColumnSpec::whole("PROTO", "protocol"),
    ColumnSpec::whole("LOCAL", "local"),
    ColumnSpec::whole("REMOTE", "remote").named("remote_name"),
    ColumnSpec::whole("STATE", "state"),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
    ColumnSpec::ranked("RTT", "rtt_us", 3),
    ColumnSpec::ranked("RETRANS", "retransmits", 4),
    ColumnSpec::ranked("CONTAINER", "container", 5),
    ColumnSpec::ranked("IFACE", "interface", 6),
];

/// For a list of who moves the bytes.
pub(crate) const RATES: &[ColumnSpec] = &[
    ColumnSpec::whole("PID", "pid"),
    ColumnSpec::ranked("USER", "user", 1),
    ColumnSpec::whole("PROCESS", "process"),
    ColumnSpec::whole("PROTO", "protocol"),
    ColumnSpec::whole("LOCAL", "local"),
    ColumnSpec::whole("REMOTE", "remote").named("remote_name"),
    ColumnSpec::whole("STATE", "state"),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX", "rx_bytes", 2),
    ColumnSpec::ranked("TX", "tx_bytes", 2),
    ColumnSpec::ranked("RTT", "rtt_us", 3),
    ColumnSpec::ranked("RETRANS", "retransmits", 4),
    ColumnSpec::ranked("CONTAINER", "container", 5),
    ColumnSpec::ranked("IFACE", "interface", 6),
];

/// For a screen, where addresses are never cut: what has no room beside them is left out.
pub(crate) const LIVE: &[ColumnSpec] = &[
    ColumnSpec::ranked("PID", "pid", 5),
    ColumnSpec::ranked("USER", "user", 12),
    ColumnSpec::whole("PROCESS", "process"),
    ColumnSpec::ranked("PROTO", "protocol", 3),
    ColumnSpec::ranked("LOCAL", "local", 6),
    ColumnSpec::whole("REMOTE", "remote").named("remote_name"),
    ColumnSpec::ranked("STATE", "state", 4),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::ranked("RX", "rx_bytes", 8),
    ColumnSpec::ranked("TX", "tx_bytes", 8),
    ColumnSpec::ranked("RTT", "rtt_us", 9),
    ColumnSpec::ranked("RETRANS", "retransmits", 10),
    ColumnSpec::ranked("CONTAINER", "container", 7),
    ColumnSpec::ranked("IFACE", "interface", 11),
];

pub(crate) const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Local", "local"),
    ColumnSpec::part("Remote", "remote", CellPart::Address).named("remote_name"),
    ColumnSpec::part("Port", "remote", CellPart::Port),
    ColumnSpec::whole("Process", "process"),
    ColumnSpec::whole("State", "state"),
];

/// The table of these connections, in their order.
pub(crate) fn table<'m>(
    flows: &[AttributedFlow<'m>],
    title: String,
    text: &'static [ColumnSpec],
) -> Table<'m> {
    let mut cells = Vec::with_capacity(flows.len() * COLUMNS.len());
    for flow in flows {
        cells.extend(row(flow));
    }
    Table { key: Some("connections"), title, columns: COLUMNS, text, markdown: MARKDOWN, cells, omitted: 0 }
}

/// The values of one connection, in the order of the columns.
pub(crate) fn row<'m>(flow: &AttributedFlow<'m>) -> [Value<'m>; COLUMNS.len()] {
    let connection = flow.connection;
    let socket = &connection.socket;
    let bytes = connection.bytes();
    let tcp = socket.tcp.as_ref();
    let process = flow.process.filter(|process| process.pid().is_some());
    let uid = socket.uid.or(process.and_then(|process| process.process.uid));
    // A packet socket has no addresses, and a socket of raw packets no ports.
    let has_address = socket.protocol != Protocol::Packet;
    let local = Value::Endpoint { address: socket.local.address, port: socket.local.port };
    [
        labels::protocol(socket.protocol),
        if has_address { local } else { Value::Unknown },
        Value::of(socket.remote, |remote| Value::Endpoint { address: remote.address, port: remote.port }),
        labels::state(connection),
        Value::of(flow.pid(), |pid| Value::Count(u64::from(pid))),
        Value::maybe_text(process.map(ProcessState::name)),
        flow.user.map_or_else(|| Value::of(uid, Value::Id), Value::Text),
        Value::maybe_text(process.and_then(container)),
        Value::of(socket.netns, |inode| Value::Count(u64::from(inode))),
        Value::maybe_text(flow.interface),
        Value::of(bytes, |bytes| Value::Bytes(bytes.rx)),
        Value::of(bytes, |bytes| Value::Bytes(bytes.tx)),
        Value::of(connection.rates.rx_bps, Value::Rate),
        Value::of(connection.rates.tx_bps, Value::Rate),
        Value::of(tcp.and_then(|tcp| tcp.rtt_us), |us| Value::Microseconds(u64::from(us))),
        Value::of(tcp.and_then(|tcp| tcp.retransmits), |count| Value::Count(u64::from(count))),
        Value::of(connection.age_ns(), |ns| Value::Milliseconds(ns / 1_000_000)),
        Value::Flag(connection.ended.is_some()),
        Value::maybe_text(flow.remote_name),
    ]
}

/// The container's name, or its short id where the runtime gave no name.
pub(crate) fn container(process: &ProcessState) -> Option<&str> {
    process.container_name.as_deref().or(process.process.container.as_deref().map(short))
}

/// The engines' own short form of an id; a runtime that has only names has no other.
fn short(id: &str) -> &str {
    const WHOLE: usize = 64;
    const SHORT: usize = 12;
    if id.len() == WHOLE { id.get(..SHORT).unwrap_or(id) } else { id }
}
