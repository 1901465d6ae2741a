//! The number of connections by state: by protocol and state for programs, by state alone for Markdown.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::{Column, ColumnSpec, Table, Value, labels};
use net_traffic_model::AttributedFlow;

const BY_PROTOCOL: &[Column] = &[Column::text("protocol"), Column::text("state"), Column::number("count")];
const BY_STATE: &[Column] = &[Column::text("state"), Column::number("count")];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("PROTO", "protocol"),
    ColumnSpec::whole("STATE", "state"),
    ColumnSpec::whole("COUNT", "count"),
];

const MARKDOWN: &[ColumnSpec] = &[ColumnSpec::whole("State", "state"), ColumnSpec::whole("Count", "count")];

/// The counts by protocol and state, the most frequent first.
pub(crate) fn by_protocol<'m>(flows: &[AttributedFlow<'_>]) -> Table<'m> {
    let mut counts: BTreeMap<_, (Value<'m>, Value<'m>, u64)> = BTreeMap::new();
    for flow in flows {
        let socket = &flow.connection.socket;
        let count = counts
            .entry((socket.protocol, flow.connection.state()))
            .or_insert_with(|| (labels::protocol(socket.protocol), labels::state(flow.connection), 0));
        count.2 += 1;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by_key(|(_, _, count)| Reverse(*count));
    let cells = counts
        .iter()
        .flat_map(|(protocol, state, count)| [*protocol, *state, Value::Count(*count)])
        .collect();
    Table {
        key: Some("states"),
        title: "By state".to_owned(),
        columns: BY_PROTOCOL,
        text: TEXT,
        markdown: &[],
        cells,
        omitted: 0,
    }
}

/// The counts by state alone.
pub(crate) fn by_state<'m>(flows: &[AttributedFlow<'_>]) -> Table<'m> {
    let mut counts: BTreeMap<_, (Value<'m>, u64)> = BTreeMap::new();
    for flow in flows {
        let state = labels::state(flow.connection);
        let key = match state {
            Value::Label(label) => label.label,
            _ => "",
        };
        counts.entry(key).or_insert((state, 0)).1 += 1;
    }
    let mut counts: Vec<_> = counts.into_values().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    let cells = counts.iter().flat_map(|(state, count)| [*state, Value::Count(*count)]).collect();
    Table {
        key: None,
        title: "By state".to_owned(),
        columns: BY_STATE,
        text: &[],
        markdown: MARKDOWN,
        cells,
        omitted: 0,
    }
}
