//! All facts about one row.

use crate::rows::{connections, containers, interfaces, usage};
use crate::{Column, Facts, Presence, Value};
use net_traffic_model::{
    AttributedFlow, Connection, HistoryKey, InterfaceState, Model, ProcessState, RateHistory, Rates, UNOWNED,
};

use super::RowId;

/// One row in full: named values, including those of its owner, and its rates over time.
#[derive(Clone, Debug, Default)]
pub struct Details<'m> {
    pub title: &'static str,
    pub facts: Facts<'m>,
    /// Bits per second, received and sent, now.
    pub rates: (Option<u64>, Option<u64>),
    /// The same over time; `None` without recent traffic.
    pub history: Option<RateSeries>,
    pub ended: bool,
}

/// Bits per second received, and sent, oldest first; `None` is unknown.
pub type RateSeries = (Vec<Option<u64>>, Vec<Option<u64>>);

/// The facts about a row; `None` if the model no longer keeps it.
#[must_use]
pub fn details<'m>(model: &'m Model, id: &RowId) -> Option<Details<'m>> {
    match id {
        RowId::Connection(id) => {
            let flow = model.flows().find(|flow| flow.connection.socket.id == *id)?;
            Some(Details {
                history: optional_series(model.history(HistoryKey::Connection(*id))),
                ..of_connection(&flow)
            })
        }
        RowId::Process(id, container) => {
            let same =
                |state: &&ProcessState| state.process.id == *id && state.process.container == *container;
            let state = model.processes().find(same)?;
            Some(of_process(model, state))
        }
        RowId::Container(id) => of_container(model, id),
        RowId::Destination(address) => of_destination(model, *address),
        RowId::Interface(name) => {
            model.interfaces().find(|state| state.interface.name == *name).map(of_interface)
        }
    }
}

fn of_connection<'m>(flow: &AttributedFlow<'m>) -> Details<'m> {
    let AttributedFlow { connection, process, user: _, interface: _, remote_name: _, via: _ } = flow;
    let Connection { socket, rates, ended, seen_ns: _ } = connection;
    let mut facts = keyed(connections::COLUMNS, &connections::row(flow));
    let tcp = socket.tcp.as_ref();
    let count = |value: Option<u32>| Value::of(value, |value| Value::Count(u64::from(value)));
    facts.extend([
        ("counted_rx_bytes", Value::of(socket.counted, |bytes| Value::Bytes(bytes.rx))),
        ("counted_tx_bytes", Value::of(socket.counted, |bytes| Value::Bytes(bytes.tx))),
        (
            "rtt_var_us",
            Value::of(tcp.and_then(|tcp| tcp.rtt_var_us), |us| Value::Microseconds(u64::from(us))),
        ),
        ("retransmitted_bytes", Value::of(tcp.and_then(|tcp| tcp.retransmitted_bytes), Value::Bytes)),
        ("cwnd", count(tcp.and_then(|tcp| tcp.cwnd))),
        ("mss", count(tcp.and_then(|tcp| tcp.mss))),
        ("rx_queue", count(socket.rx_queue)),
        ("tx_queue", count(socket.tx_queue)),
        ("inode", Value::of(socket.inode, Value::Count)),
        ("cookie", Value::Count(socket.id.0)),
        ("snapshots_since_end", count(*ended)),
    ]);
    facts.extend(process.map(process_facts).into_iter().flatten());
    Details { title: "Connection", facts, rates: rx_tx(*rates), history: None, ended: ended.is_some() }
}

fn of_process<'m>(model: &'m Model, state: &'m ProcessState) -> Details<'m> {
    let process = &state.process;
    let held = model.flows().filter(|flow| flow.connection.socket.owner.unwrap_or(UNOWNED) == process.id);
    let living = held.filter(|flow| flow.connection.ended.is_none()).count();
    let mut facts = vec![
        ("pid", Value::of(state.pid(), |pid| Value::Count(u64::from(pid)))),
        ("process", Value::Text(state.name())),
        ("user", process.user.as_deref().map_or_else(|| Value::of(process.uid, Value::Id), Value::Text)),
        ("container", Value::maybe_text(state.container_name.as_deref())),
    ];
    facts.extend(process_facts(state));
    facts.extend([
        ("connections", Value::Count(living as u64)),
        ("rx_bytes", Value::of(process.counted, |bytes| Value::Bytes(bytes.rx))),
        ("tx_bytes", Value::of(process.counted, |bytes| Value::Bytes(bytes.tx))),
        ("rx_bps", Value::of(state.rates.rx_bps, Value::Rate)),
        ("tx_bps", Value::of(state.rates.tx_bps, Value::Rate)),
        ("exited", Value::Flag(process.exited)),
    ]);
    let history = Some(series(&state.history));
    Details { title: "Process", facts, rates: rx_tx(state.rates), history, ended: process.exited }
}

/// The facts about a process that its own row and those of its connections share.
fn process_facts(state: &ProcessState) -> Facts<'_> {
    let process = &state.process;
    vec![
        ("command", Value::maybe_text(process.command.as_deref())),
        ("cgroup", Value::maybe_text(process.cgroup.as_deref())),
        ("container_id", Value::maybe_text(process.container.as_deref())),
        ("start_ticks", Value::Count(u64::from(process.id.start_ticks))),
    ]
}

fn of_container<'m>(model: &'m Model, id: &str) -> Option<Details<'m>> {
    let flows: Vec<AttributedFlow<'m>> = model.flows().collect();
    let usages = usage::processes(model, &flows);
    let sum = containers::sums(model, &usages).into_iter().find(|sum| sum.id == id)?;
    let inside = usages.iter().filter(|usage| usage.state.process.container.as_deref() == Some(id));
    let mut facts = keyed(containers::COLUMNS, &containers::row(&sum));
    facts.push(("processes", Value::Count(inside.clone().count() as u64)));
    facts.push(("connections", Value::Count(inside.map(|usage| usage.connections).sum())));
    let history = optional_series(model.history(HistoryKey::Container(id)));
    Some(Details { title: "Container", facts, rates: rx_tx(sum.rates), history, ended: false })
}

fn of_destination(model: &Model, address: Option<std::net::IpAddr>) -> Option<Details<'_>> {
    let flows: Vec<AttributedFlow<'_>> = model.flows().collect();
    let hosts = usage::since_start(model, &flows);
    let host = hosts.get(&address)?;
    let mut facts = vec![("address", Value::of(address, Value::Address))];
    facts.extend(host.name.map(|name| ("name", Value::Text(name))));
    facts.extend([
        ("connections", Value::Count(host.connections)),
        ("rx_bytes", Value::of(host.bytes, |bytes| Value::Bytes(bytes.rx))),
        ("tx_bytes", Value::of(host.bytes, |bytes| Value::Bytes(bytes.tx))),
        ("rx_bps", Value::of(host.rates.rx_bps, Value::Rate)),
        ("tx_bps", Value::of(host.rates.tx_bps, Value::Rate)),
    ]);
    let history =
        optional_series(address.and_then(|address| model.history(HistoryKey::Destination(address))));
    Some(Details { title: "Destination", facts, rates: rx_tx(host.rates), history, ended: false })
}

fn of_interface(state: &InterfaceState) -> Details<'_> {
    let interface = &state.interface;
    let mut facts = keyed(interfaces::COLUMNS, &interfaces::row(state));
    facts.extend([
        ("up", Value::Flag(interface.up)),
        ("mtu", Value::of(interface.mtu, |mtu| Value::Count(u64::from(mtu)))),
        ("multicast", Value::Count(interface.multicast)),
        ("collisions", Value::Count(interface.collisions)),
    ]);
    facts.extend(interface.addresses.iter().map(|address| ("address", Value::Address(*address))));
    let history = Some(series(&state.history));
    Details { title: "Interface", facts, rates: rx_tx(state.rates), history, ended: !interface.up }
}

/// The cells with their column keys. An unknown host name is left out.
fn keyed<'m>(columns: &[Column], row: &[Value<'m>]) -> Facts<'m> {
    let facts = columns.iter().zip(row.iter().copied());
    facts
        .filter(|(column, value)| column.presence == Presence::Always || *value != Value::Unknown)
        .map(|(column, value)| (column.key, value))
        .collect()
}

fn rx_tx(rates: Rates) -> (Option<u64>, Option<u64>) {
    (rates.rx_bps, rates.tx_bps)
}

fn optional_series(history: Option<RateHistory>) -> Option<RateSeries> {
    history.map(|history| series(&history))
}

fn series(history: &RateHistory) -> RateSeries {
    history.iter().map(rx_tx).unzip()
}
