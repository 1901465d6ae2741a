//! Brings a list into the order that the options ask for. The values of a row are made, compared and dropped.

use std::cmp::{Ordering, Reverse};
use std::net::IpAddr;

use foldhash::HashMap;

use super::Rows;
use super::rows::Items;
use crate::order::rank;
use crate::rows::containers::ContainerUsage;
use crate::rows::usage::{HostUsage, Usage};
use crate::{ColumnKind, Options, Value};
use net_traffic_model::{AttributedFlow, Bytes, InterfaceState, Model, Rates};

pub(super) fn connections<'m>(flows: Vec<AttributedFlow<'m>>, options: &Options) -> Rows<'m> {
    let of = flows.len();
    let mut flows = flows;
    flows.retain(|flow| options.filter.wants_flow(flow));
    flows.sort_by_cached_key(|flow| busiest(flow.connection.rates, flow.connection.bytes(), options.totals));
    arrange(Items::Connections(flows), of, options)
}

pub(super) fn processes<'m>(mut usages: Vec<Usage<'m>>, of: usize, options: &Options) -> Rows<'m> {
    // They come by rate; a stable sort keeps their own order where the totals are equal.
    if options.totals {
        usages.sort_by_key(|usage| busiest(usage.rates, usage.bytes, true));
    }
    arrange(Items::Processes(usages), of, options)
}

pub(super) fn containers<'m>(mut usages: Vec<ContainerUsage<'m>>, of: usize, options: &Options) -> Rows<'m> {
    if options.totals {
        usages.sort_by_key(|usage| busiest(usage.rates, usage.bytes, true));
    }
    arrange(Items::Containers(usages), of, options)
}

pub(super) fn destinations<'m>(
    hosts: HashMap<Option<IpAddr>, HostUsage<'m>>,
    of: usize,
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
    arrange(Items::Destinations(hosts), of, options)
}

/// In the machine's order unless a column is chosen.
pub(super) fn interfaces<'m>(model: &'m Model, options: &Options) -> Rows<'m> {
    let states: Vec<&InterfaceState> = model.interfaces().collect();
    let of = states.len();
    arrange(Items::Interfaces(states), of, options)
}

/// The interfaces in use, the busiest first.
pub(super) fn busiest_interfaces(model: &Model) -> Rows<'_> {
    let mut states: Vec<&InterfaceState> = model.interfaces().collect();
    states.sort_by_key(|state| {
        let (rx, tx) = (&state.interface.rx, &state.interface.tx);
        busiest(state.rates, Some(Bytes { rx: rx.bytes, tx: tx.bytes }), false)
    });
    let of = states.len();
    Rows::new(Items::Interfaces(states), of)
}

/// Who moves most comes first; what is equal stays in the order that it has.
fn busiest(rates: Rates, bytes: Option<Bytes>, totals: bool) -> Reverse<(Option<u64>, Option<u64>)> {
    let total = bytes.map(|bytes| bytes.rx.saturating_add(bytes.tx));
    Reverse(if totals { (total, rates.total()) } else { (rates.total(), total) })
}

/// Drops the rows in which a word is missing, sorts the others by the chosen column, and keeps as many as are wanted.
fn arrange<'m>(items: Items<'m>, of: usize, options: &Options) -> Rows<'m> {
    let rows = Rows::new(items, of);
    let columns = rows.columns();
    let by = options.sort.as_deref().and_then(|key| columns.iter().position(|column| column.key == key));
    let has_words = options.filter.has_words();
    if by.is_none() && !has_words && !options.reverse && options.limit.is_none() {
        return rows;
    }
    let column = by.and_then(|by| columns.get(by));
    let mut order: Vec<(SortKey<'m>, usize)> = Vec::with_capacity(rows.len());
    let mut cells = Vec::new();
    let mut text = String::new();
    for place in 0..rows.len() {
        rows.write_cells(place, &mut cells);
        if !has_words || options.filter.is_mentioned(columns, &cells, &mut text) {
            let value = by.and_then(|by| cells.get(by)).copied().unwrap_or(Value::Unknown);
            order.push((SortKey::of(value), place));
        }
    }
    match column {
        Some(column) => {
            let ascending = (column.kind != ColumnKind::Number) != options.reverse;
            // The place makes every row different, so that the faster sort keeps the order of what is equal.
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

/// What a value is compared by, worked out once and not at every comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SortKey<'m> {
    is_unknown: bool,
    /// Numbers and addresses; an address of the shorter kind comes first.
    number: (bool, u128, u16),
    text: &'m str,
}

impl<'m> SortKey<'m> {
    fn of(value: Value<'m>) -> Self {
        let address = |address: IpAddr, port| match address {
            IpAddr::V4(address) => (false, u128::from(address.to_bits()), port),
            IpAddr::V6(address) => (true, address.to_bits(), port),
        };
        let (number, text) = match value {
            Value::Endpoint { address: ip, port } => (address(ip, port), ""),
            Value::Address(ip) => (address(ip, 0), ""),
            other => {
                let (number, text, _) = rank(other);
                ((false, u128::from(number), 0), text)
            }
        };
        Self { is_unknown: value == Value::Unknown, number, text }
    }

    /// The unknown comes last, in either direction.
    fn compare(&self, other: &Self, ascending: bool) -> Ordering {
        let known = self.is_unknown.cmp(&other.is_unknown);
        let value = self.number.cmp(&other.number).then_with(|| self.text.cmp(other.text));
        known.then(if ascending { value } else { value.reverse() })
    }
}
