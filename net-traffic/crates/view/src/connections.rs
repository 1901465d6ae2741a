//! The view `connections`: interfaces, open connections, their count by state, and remote hosts.

use super::order::arrange;
use super::rows::{connections, destinations, interfaces, ledger, states, usage};
use super::{Options, Report, View};
use net_traffic_model::{AttributedFlow, Model};

/// The view `connections`.
#[derive(Clone, Copy, Debug)]
pub struct Connections;

impl View for Connections {
    fn name(&self) -> &'static str {
        "connections"
    }

    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m> {
        let flows: Vec<AttributedFlow<'m>> =
            model.flows().filter(|flow| is_current(flow) && options.states.wants(flow)).collect();
        let title = format!("Active connections: {}", flows.len());
        // There are no rates after a single snapshot.
        let has_rates = flows.iter().any(|flow| {
            let rates = &flow.connection.rates;
            rates.rx_bps.is_some() || rates.tx_bps.is_some()
        });
        let text = if has_rates { connections::RATES } else { connections::TEXT };
        let mut table = connections::table(&flows, title, text);
        arrange(&mut table, options, usize::MAX);
        let mut destinations = destinations::table(usage::of_lifetime(&flows));
        arrange(&mut destinations, options, destinations::BRIEF);
        let tables = vec![
            interfaces::table(model, interfaces::COUNTERS),
            table,
            states::by_protocol(&flows),
            states::by_state(&flows),
            destinations,
        ];
        let mut report = ledger::report(self.name(), model, tables);
        report.main = 1;
        report.set_main(options.table);
        report
    }
}

/// Open, or ended in the last snapshot.
fn is_current(flow: &AttributedFlow<'_>) -> bool {
    matches!(flow.connection.ended, None | Some(0))
}
