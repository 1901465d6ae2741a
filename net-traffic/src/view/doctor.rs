//! What this kernel and these privileges allow: what counts in each slot, why nothing better does, and the remedy.

use super::rows::ledger;
use super::{Column, Options, Report, Shown, Table, Value, View};
use crate::model::Model;

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

const TEXT: &[Shown] = &[
    Shown::whole("SLOT", "slot"),
    Shown::whole("TIER", "tier"),
    Shown::ranked("PROGRAM", "program", 1),
    Shown::whole("COVERS", "covers"),
    Shown::whole("WHY NOT BETTER", "reason"),
    Shown::whole("REMEDY", "remedy"),
];

const MARKDOWN: &[Shown] = &[
    Shown::whole("Slot", "slot"),
    Shown::whole("Tier", "tier"),
    Shown::whole("Program", "program"),
    Shown::whole("Covers", "covers"),
    Shown::whole("Why not better", "reason"),
    Shown::whole("Remedy", "remedy"),
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
                Value::Text(covers(status.tier.as_deref())),
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

/// What a tier sees, and so what a better one would give.
fn covers(tier: Option<&str>) -> &'static str {
    match tier {
        Some("tp-btf") => "every call, exact to the byte, at the lowest cost",
        Some("fentry") => "every call, exact to the byte",
        Some("kprobe") => "every call, exact to the byte, at a higher cost",
        Some("cgroup") => "every call that the control group's hook sees",
        Some("tcx") => "every packet of every interface, until the tool ends",
        Some("clsact") => "every packet of every interface, by filters that are removed at the end",
        Some("iter") => "every socket, also those older than the tool",
        Some("polling") => "what the kernel itself keeps, once a report; what lives shorter is missed",
        Some("sock_diag") => "every socket of the namespace that lives when it is asked",
        Some("procfs") => "what /proc shows to this user, once a report",
        Some(_) => "see the documentation of this tier",
        None => "nothing: these values read '-'",
    }
}
