//! Throughput by interface and by process, and the balance between them.

use super::order::arrange;
use super::rows::{interfaces, ledger, processes, usage};
use super::{Column, Options, Report, Table, View};
use crate::model::{Flow, Model};

#[derive(Clone, Copy, Debug)]
pub struct Bandwidth;

/// How many processes people want to see.
const BRIEF: usize = 20;

const BALANCE: &[Column] = &[
    Column::text("interface"),
    Column::text("direction"),
    Column::number("interface_bytes"),
    Column::number("process_payload_bytes"),
    Column::number("overhead_bytes"),
    Column::number("forwarded_bytes"),
    Column::number("kernel_bytes"),
    Column::number("unattributed_bytes"),
];

impl View for Bandwidth {
    fn name(&self) -> &'static str {
        "bandwidth"
    }

    fn report<'m>(&self, model: &'m Model, options: &Options) -> Report<'m> {
        let flows: Vec<Flow<'m>> = model.flows().collect();
        let mut interfaces = interfaces::table(model, interfaces::RATES);
        arrange(&mut interfaces, options, usize::MAX);
        let mut processes = processes::table(&usage::processes(model, &flows));
        arrange(&mut processes, options, BRIEF);
        let mut report = ledger::report(self.name(), model, vec![interfaces, processes, balance()]);
        report.series = interfaces::series(model);
        report.choose(options.by);
        report
    }
}

/// Without counters of what passes on the wire there is nothing to balance: the list is empty, not a guess.
fn balance<'m>() -> Table<'m> {
    let title = "Balance".to_owned();
    Table {
        key: Some("balance"),
        title,
        columns: BALANCE,
        text: &[],
        markdown: &[],
        cells: Vec::new(),
        omitted: 0,
    }
}
