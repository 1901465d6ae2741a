//! Who moves the bytes: connections, processes, containers and remote hosts, now and since the start.

use std::cmp::Reverse;

use super::order::{arrange, leading};
use super::rows::{connections, containers, destinations, ledger, processes, usage};
use super::{Options, Report, States, View};
use net_traffic_model::{AttributedFlow, Model};

#[derive(Clone, Copy, Debug)]
pub struct Top;

/// How many rows of each table people want to see.
const BRIEF: usize = 20;

impl View for Top {
    fn name(&self) -> &'static str {
        "top"
    }

    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m> {
        let all: Vec<AttributedFlow<'m>> = model.flows().collect();
        let unasked = options.states == States::default();
        let mut shown: Vec<AttributedFlow<'m>> = all
            .iter()
            .filter(|flow| options.states.wants(flow) || (unasked && moved(flow)))
            .copied()
            .collect();
        busiest_first(&mut shown);
        let usages = usage::processes(model, &all);
        let title = format!("Connections: {}", shown.len());
        let first = leading(&shown, options, BRIEF);
        let mut flows = connections::table(first, title, connections::RATES);
        flows.omitted = shown.len() - first.len();
        let mut tables = vec![
            flows,
            processes::table(&usages),
            containers::table(model, &usages),
            destinations::table(usage::since_start(model, &all)),
        ];
        for table in &mut tables {
            let brief = if table.key == Some("destinations") { destinations::BRIEF } else { BRIEF };
            arrange(table, options, brief);
        }
        let mut report = ledger::report(self.name(), model, tables);
        report.choose(options.table);
        report
    }
}

/// An unconnected socket is of interest once it moves something.
pub(super) fn moved(flow: &AttributedFlow<'_>) -> bool {
    flow.connection.socket.counted.is_some_and(|bytes| bytes.rx > 0 || bytes.tx > 0)
}

/// By rate, then by what was moved; what is equal stays in the machine's order.
pub(super) fn busiest_first(flows: &mut [AttributedFlow<'_>]) {
    flows.sort_by_cached_key(|flow| {
        let connection = flow.connection;
        let total = connection.bytes().map(|bytes| bytes.rx.saturating_add(bytes.tx));
        Reverse((connection.rates.total(), total))
    });
}
