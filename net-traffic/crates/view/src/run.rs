//! The view `run`: traffic of a command and its descendants, by process and connection.

use super::order::arrange;
use super::rows::{connections, ledger, processes, usage};
use super::top::busiest_first;
use super::{Options, Report, Value, View};
use net_traffic_model::{AttributedFlow, Model};

/// The report of a command that has ended.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// The status as a shell reports it: 128+N after signal N.
    pub exit_status: u8,
}

impl View for Run {
    fn name(&self) -> &'static str {
        "run"
    }

    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m> {
        let mut flows: Vec<AttributedFlow<'m>> = model.flows().collect();
        busiest_first(&mut flows);
        let title = format!("Connections: {}", flows.len());
        let mut connections = connections::table(&flows, title, connections::TEXT);
        arrange(&mut connections, options, usize::MAX);
        let mut processes = processes::table(&usage::processes(model, &flows));
        arrange(&mut processes, options, usize::MAX);
        let mut report = ledger::report(self.name(), model, vec![connections, processes]);
        report.facts = vec![("exit_status", Value::Count(u64::from(self.exit_status)))];
        report.set_main(options.table);
        report
    }
}
