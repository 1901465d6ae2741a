//! Traffic of the selected connections by process and by remote host, summed once for all tables.

use std::net::IpAddr;

use foldhash::{HashMap, HashMapExt};

use net_traffic_model::{AttributedFlow, Bytes, Model, ProcessId, ProcessState, Rates, UNOWNED, add, sum};

/// Traffic of one process since the start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProcessUsage<'m> {
    pub state: &'m ProcessState,
    /// Open connections.
    pub connections: u64,
    pub bytes: Option<Bytes>,
    pub rates: Rates,
}

/// Traffic with one remote host.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HostUsage<'m> {
    /// Its name, if names are looked up.
    pub name: Option<&'m str>,
    /// Open connections.
    pub connections: u64,
    pub bytes: Option<Bytes>,
    pub rates: Rates,
}

/// The selected processes, the busiest first.
pub(crate) fn processes<'m>(model: &'m Model, flows: &[AttributedFlow<'m>]) -> Vec<ProcessUsage<'m>> {
    let owners = by_owner(flows);
    let split = model.selection().splits_processes();
    let mut usages: Vec<ProcessUsage<'m>> = model
        .processes()
        .filter(|state| model.selection().wants_process(state))
        .map(|state| {
            let held = owners.get(&state.process.id).copied().unwrap_or_default();
            let folded = Some(state.folded).filter(|folded| *folded != Bytes::default());
            let (bytes, rates) = if split {
                (add_bytes(held.bytes, folded), held.rates)
            } else {
                (state.process.counted, state.rates)
            };
            ProcessUsage { state, connections: held.connections, bytes, rates }
        })
        .filter(|usage| usage.connections > 0 || usage.bytes.is_some_and(|bytes| bytes != Bytes::default()))
        .collect();
    usages.sort_by_cached_key(|usage| {
        let total = usage.bytes.map(|bytes| bytes.rx.saturating_add(bytes.tx));
        let id = usage.state.process.id;
        (
            std::cmp::Reverse((usage.rates.total(), total)),
            id.pid == 0,
            id.pid,
            id.start_ticks,
            usage.state.process.container.clone(),
        )
    });
    usages
}

/// Traffic by remote host since the start, including ended connections.
pub(crate) fn since_start<'m>(
    model: &'m Model,
    flows: &[AttributedFlow<'m>],
) -> HashMap<Option<IpAddr>, HostUsage<'m>> {
    let folded = model.folded_destinations().map(|(address, bytes)| {
        let name = address.and_then(|address| model.host_name(address));
        (address, HostUsage { name, bytes: Some(bytes), ..HostUsage::default() })
    });
    let mut hosts: HashMap<_, _> = folded.collect();
    add_flows(&mut hosts, flows, |flow| flow.connection.socket.counted);
    hosts
}

/// Traffic by remote host over the lifetime of these connections.
pub(crate) fn of_lifetime<'m>(flows: &[AttributedFlow<'m>]) -> HashMap<Option<IpAddr>, HostUsage<'m>> {
    let mut hosts = HashMap::new();
    add_flows(&mut hosts, flows, |flow| flow.connection.bytes());
    hosts
}

/// The sum of the known parts; `None` if both are unknown.
pub(crate) fn add_bytes(one: Option<Bytes>, other: Option<Bytes>) -> Option<Bytes> {
    match (one, other) {
        (Some(one), Some(other)) => Some(sum(one, other)),
        (known, None) | (None, known) => known,
    }
}

pub(crate) fn add_rates(one: Rates, other: Rates) -> Rates {
    Rates { rx_bps: add(one.rx_bps, other.rx_bps), tx_bps: add(one.tx_bps, other.tx_bps) }
}

#[derive(Clone, Copy, Default)]
struct OwnerTotals {
    connections: u64,
    bytes: Option<Bytes>,
    rates: Rates,
}

fn by_owner(flows: &[AttributedFlow<'_>]) -> HashMap<ProcessId, OwnerTotals> {
    let mut owners: HashMap<ProcessId, OwnerTotals> = HashMap::new();
    for flow in flows {
        let owner = flow.connection.socket.owner.unwrap_or(UNOWNED);
        let held = owners.entry(owner).or_default();
        held.connections += u64::from(flow.connection.ended.is_none());
        held.bytes = add_bytes(held.bytes, flow.connection.socket.counted);
        held.rates = add_rates(held.rates, flow.connection.rates);
    }
    owners
}

fn add_flows<'m>(
    hosts: &mut HashMap<Option<IpAddr>, HostUsage<'m>>,
    flows: &[AttributedFlow<'m>],
    bytes: impl Fn(&AttributedFlow<'m>) -> Option<Bytes>,
) {
    for flow in flows {
        let Some(remote) = flow.connection.socket.remote else { continue };
        let host = hosts.entry(Some(remote.address.to_canonical())).or_default();
        host.name = flow.remote_name;
        host.connections += u64::from(flow.connection.ended.is_none());
        host.bytes = add_bytes(host.bytes, bytes(flow));
        host.rates = add_rates(host.rates, flow.connection.rates);
    }
}
