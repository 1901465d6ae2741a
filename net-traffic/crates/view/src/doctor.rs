//! The view `doctor`: for each slot, the program that counts, why no better one does, and the remedy.

use super::rows::ledger;
use super::{Column, ColumnSpec, Options, Report, Table, Value, View};
use net_traffic_model::Model;

/// The view `doctor`.
#[derive(Clone, Copy, Debug)]
pub struct Doctor;

const COLUMNS: &[Column] = &[
    Column::text("slot"),
    Column::text("tier"),
    Column::text("program"),
    Column::text("covers"),
    Column::text("reason"),
    Column::text("remedy"),
];

const TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("SLOT", "slot"),
    ColumnSpec::whole("TIER", "tier"),
    ColumnSpec::ranked("PROGRAM", "program", 1),
    ColumnSpec::whole("COVERS", "covers"),
    ColumnSpec::whole("WHY NOT BETTER", "reason"),
    ColumnSpec::whole("REMEDY", "remedy"),
];

const MARKDOWN: &[ColumnSpec] = &[
    ColumnSpec::whole("Slot", "slot"),
    ColumnSpec::whole("Tier", "tier"),
    ColumnSpec::whole("Program", "program"),
    ColumnSpec::whole("Covers", "covers"),
    ColumnSpec::whole("Why not better", "reason"),
    ColumnSpec::whole("Remedy", "remedy"),
];

impl View for Doctor {
    fn name(&self) -> &'static str {
        "doctor"
    }

    fn report<'m>(&self, model: &'m Model, _options: &Options) -> Report<'m> {
        let mut cells = Vec::with_capacity(model.status().len() * COLUMNS.len());
        for status in model.status() {
            cells.extend([
                Value::Text(&status.slot),
                Value::maybe_text(status.tier.as_deref()),
                Value::maybe_text(status.program.as_deref()),
                Value::maybe_text(status.covers.as_deref()),
                Value::maybe_text(status.reason.as_deref()),
                Value::maybe_text(status.remedy.as_deref()),
            ]);
        }
        let title = "What counts, and why".to_owned();
        let slots = Table {
            key: Some("slots"),
            title,
            columns: COLUMNS,
            text: TEXT,
            markdown: MARKDOWN,
            cells,
            omitted: 0,
        };
        ledger::report(self.name(), model, vec![slots])
    }
}
