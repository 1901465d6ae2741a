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

/// The columns of the text layouts, in order.
const TEXT_COLUMNS: [ColumnSpec; 15] = [
    ColumnSpec::whole("PID", "pid"),
    ColumnSpec::whole("USER", "user"),
    ColumnSpec::whole("PROCESS", "process"),
    ColumnSpec::whole("PROTO", "protocol"),
    ColumnSpec::whole("LOCAL", "local"),
    ColumnSpec::whole("REMOTE", "remote").named("remote_name"),
    ColumnSpec::whole("STATE", "state"),
    ColumnSpec::whole("RX/s", "rx_bps"),
    ColumnSpec::whole("TX/s", "tx_bps"),
    ColumnSpec::whole("RX", "rx_bytes"),
    ColumnSpec::whole("TX", "tx_bytes"),
    ColumnSpec::whole("RTT", "rtt_us"),
    ColumnSpec::whole("RETRANS", "retransmits"),
    ColumnSpec::whole("CONTAINER", "container"),
    ColumnSpec::whole("IFACE", "interface"),
];

/// The layout with totals only: rates need two snapshots.
pub(crate) const TEXT: &[ColumnSpec] =
    &ranked(without_rates(&TEXT_COLUMNS), [0, 1, 0, 0, 0, 0, 0, 0, 0, 3, 4, 5, 6]);

/// The layout with rates and totals.
pub(crate) const RATES: &[ColumnSpec] = &ranked(TEXT_COLUMNS, [0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 2, 3, 4, 5, 6]);

/// The layout of the screen, which never cuts addresses. On a narrow screen only the process, the remote address and
/// the rates remain.
pub(crate) const LIVE: &[ColumnSpec] =
    &ranked(TEXT_COLUMNS, [5, 12, 0, 3, 6, 0, 4, 0, 0, 8, 8, 9, 10, 7, 11]);

/// Sets [`ColumnSpec::rank`] of each column.
const fn ranked<const N: usize>(mut specs: [ColumnSpec; N], ranks: [u8; N]) -> [ColumnSpec; N] {
    let mut index = 0;
    while index < N {
        specs[index].rank = ranks[index];
        index += 1;
    }
    specs
}

const fn without_rates(specs: &[ColumnSpec; 15]) -> [ColumnSpec; 13] {
    let [
        pid,
        user,
        process,
        protocol,
        local,
        remote,
        state,
        _,
        _,
        rx,
        tx,
        rtt,
        retransmits,
        container,
        interface,
    ] = *specs;
    [pid, user, process, protocol, local, remote, state, rx, tx, rtt, retransmits, container, interface]
}

pub(crate) const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Local", "local"),
    ColumnSpec::part("Remote", "remote", CellPart::Address).named("remote_name"),
    ColumnSpec::part("Port", "remote", CellPart::Port),
    ColumnSpec::whole("Process", "process"),
    ColumnSpec::whole("State", "state"),
];

/// The table of these connections, in the given order.
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

/// The cells of one connection, in the order of the columns.
pub(crate) fn row<'m>(flow: &AttributedFlow<'m>) -> [Value<'m>; COLUMNS.len()] {
    let connection = flow.connection;
    let socket = &connection.socket;
    let bytes = connection.bytes();
    let tcp = socket.tcp.as_ref();
    let process = flow.process.filter(|process| process.pid().is_some());
    let uid = socket.uid.or(process.and_then(|process| process.process.uid));
    // A packet socket has no address.
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
        Value::maybe_text(process.and_then(ProcessState::container_label)),
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
