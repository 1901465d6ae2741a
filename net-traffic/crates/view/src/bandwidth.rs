//! The view `bandwidth`: rates by interface and by process, and the balance of each interface.

use super::order::arrange;
use super::rows::{balance, interfaces, ledger, processes, usage, xdp_rx};
use super::{Options, Report, View};
use net_traffic_model::{AttributedFlow, Model};

/// The view `bandwidth`.
#[derive(Clone, Copy, Debug)]
pub struct Bandwidth;

/// The processes in a brief report.
const BRIEF: usize = 20;

impl View for Bandwidth {
    fn name(&self) -> &'static str {
        "bandwidth"
    }

    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m> {
        let flows: Vec<AttributedFlow<'m>> = model.flows().collect();
        let mut interfaces = interfaces::table(model, interfaces::RATES);
        arrange(&mut interfaces, options, usize::MAX);
        let mut processes = processes::table(&usage::processes(model, &flows));
        arrange(&mut processes, options, BRIEF);
        let mut report =
            ledger::report(self.name(), model, vec![interfaces, processes, balance::table(model)]);
        report.tables.extend(xdp_rx::table(model));
        report.series = interfaces::series(model);
        report.set_main(options.table);
        report
    }
}
