//! The view `top`: current and total traffic of each connection, process, container and remote host.

use std::cmp::Reverse;

use super::order::{arrange, leading};
use super::rows::{connections, containers, destinations, ledger, processes, usage};
use super::{Options, Report, States, View};
use net_traffic_model::{AttributedFlow, Model};

/// The view `top`.
#[derive(Clone, Copy, Debug)]
pub struct Top;

/// The number of rows of each table in a brief report, except the table of remote hosts.
const BRIEF: usize = 20;

impl View for Top {
    fn name(&self) -> &'static str {
        "top"
    }

    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m> {
        let all: Vec<AttributedFlow<'m>> = model.flows().collect();
        let mut shown = with_traffic_or_state(&all, &options.states);
        busiest_first(&mut shown);
        let usages = usage::processes(model, &all);
        let title = format!("Connections: {}", shown.len());
        let leading_flows = leading(&shown, options, BRIEF);
        let mut flows = connections::table(leading_flows, title, connections::RATES);
        flows.omitted = shown.len() - leading_flows.len();
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
        report.set_main(options.table);
        report
    }
}

/// The connections in the chosen states. If no state is chosen: the connected sockets, and all others with traffic.
pub(super) fn with_traffic_or_state<'m>(
    flows: &[AttributedFlow<'m>],
    states: &States,
) -> Vec<AttributedFlow<'m>> {
    let is_default = *states == States::default();
    let has_traffic = |flow: &AttributedFlow<'_>| {
        flow.connection.socket.counted.is_some_and(|bytes| bytes.rx > 0 || bytes.tx > 0)
    };
    flows.iter().filter(|flow| states.wants(flow) || (is_default && has_traffic(flow))).copied().collect()
}

/// Sorts by rate, then by total, the largest first. Flows with the same rate and total keep the snapshot's order.
pub(super) fn busiest_first(flows: &mut [AttributedFlow<'_>]) {
    flows.sort_by_cached_key(|flow| {
        let connection = flow.connection;
        let total = connection.bytes().map(|bytes| bytes.rx.saturating_add(bytes.tx));
        Reverse((connection.rates.total(), total))
    });
}
