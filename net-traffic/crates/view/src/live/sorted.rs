//! Sorts a list by the options. The cells of a row are computed, compared and dropped.

use std::cmp::Reverse;
use std::net::IpAddr;

use foldhash::HashMap;

use super::Rows;
use super::rows::Items;
use crate::order::SortKey;
use crate::rows::containers::ContainerUsage;
use crate::rows::usage::{HostUsage, ProcessUsage};
use crate::{ColumnKind, Options, Value};
use net_traffic_model::{AttributedFlow, Bytes, InterfaceState, Model, Rates};

pub(super) fn connections<'m>(flows: Vec<AttributedFlow<'m>>, options: &Options) -> Rows<'m> {
    let total = flows.len();
    let mut flows = flows;
    flows.retain(|flow| options.filter.selection().wants_flow(flow));
    flows.sort_by_cached_key(|flow| busiest(flow.connection.rates, flow.connection.bytes(), options.totals));
    arrange(Items::Connections(flows), total, options)
}

pub(super) fn processes<'m>(mut usages: Vec<ProcessUsage<'m>>, total: usize, options: &Options) -> Rows<'m> {
    // The processes arrive sorted by rate; a stable sort keeps that order among equal totals.
    if options.totals {
        usages.sort_by_key(|usage| busiest(usage.rates, usage.bytes, true));
    }
    arrange(Items::Processes(usages), total, options)
}

pub(super) fn containers<'m>(
    mut usages: Vec<ContainerUsage<'m>>,
    total: usize,
    options: &Options,
) -> Rows<'m> {
    if options.totals {
        usages.sort_by_key(|usage| busiest(usage.rates, usage.bytes, true));
    }
    arrange(Items::Containers(usages), total, options)
}

pub(super) fn destinations<'m>(
    hosts: HashMap<Option<IpAddr>, HostUsage<'m>>,
    total: usize,
    options: &Options,
) -> Rows<'m> {
    let mut hosts: Vec<_> = hosts.into_iter().collect();
    hosts.sort_by_key(|(address, host)| {
        (
            busiest(host.rates, host.bytes, options.totals),
            Reverse(host.connections),
            address.is_none(),
            *address,
        )
    });
    arrange(Items::Destinations(hosts), total, options)
}

/// In snapshot order unless a sort column is chosen.
pub(super) fn interfaces<'m>(model: &'m Model, options: &Options) -> Rows<'m> {
    let states: Vec<&InterfaceState> = model.interfaces().collect();
    let total = states.len();
    arrange(Items::Interfaces(states), total, options)
}

/// The interfaces, the busiest first.
pub(super) fn busiest_interfaces(model: &Model) -> Rows<'_> {
    let mut states: Vec<&InterfaceState> = model.interfaces().collect();
    states.sort_by_key(|state| {
        let (rx, tx) = (&state.interface.rx, &state.interface.tx);
        busiest(state.rates, Some(Bytes { rx: rx.bytes, tx: tx.bytes }), false)
    });
    let total = states.len();
    Rows::new(Items::Interfaces(states), total)
}

/// The busiest first: by rate and then total, or by total and then rate.
fn busiest(rates: Rates, bytes: Option<Bytes>, totals: bool) -> Reverse<(Option<u64>, Option<u64>)> {
    let sum = bytes.map(|bytes| bytes.rx.saturating_add(bytes.tx));
    Reverse(if totals { (sum, rates.total()) } else { (rates.total(), sum) })
}

/// Drops rows without the filter's words, sorts by the chosen column, and cuts at the limit.
fn arrange<'m>(items: Items<'m>, total: usize, options: &Options) -> Rows<'m> {
    let rows = Rows::new(items, total);
    let columns = rows.columns();
    let sort = options.sort.as_deref().and_then(|key| columns.iter().position(|column| column.key == key));
    let has_words = options.filter.has_words();
    if sort.is_none() && !has_words && !options.reverse && options.limit.is_none() {
        return rows;
    }
    let column = sort.and_then(|place| columns.get(place));
    let mut order: Vec<(SortKey<'m>, usize)> = Vec::with_capacity(rows.len());
    let mut cells = Vec::new();
    let mut text = String::new();
    for place in 0..rows.len() {
        rows.write_cells(place, &mut cells);
        if !has_words || options.filter.is_mentioned(columns, &cells, &mut text) {
            let value = sort.and_then(|place| cells.get(place)).copied().unwrap_or(Value::Unknown);
            order.push((SortKey::of(value), place));
        }
    }
    match column {
        Some(column) => {
            let ascending = (column.kind != ColumnKind::Number) != options.reverse;
            // The place breaks ties, so the faster unstable sort keeps the order of equal rows.
            order.sort_unstable_by(|(one, at), (other, other_at)| {
                one.compare(other, ascending).then(at.cmp(other_at))
            });
        }
        None if options.reverse => order.reverse(),
        None => (),
    }
    order.truncate(options.limit.unwrap_or(usize::MAX));
    rows.ordered(order.into_iter().map(|(_, place)| place).collect())
}
