//! The last part of every report: lost events, the resources that net-traffic uses, and the tier of each slot.

use crate::{Column, Facts, Report, Table, Value};
use net_traffic_model::{Cost, Loss, Model};

/// The columns of the table of sources.
const SOURCE_COLUMNS: &[Column] =
    &[Column::text("slot"), Column::text("tier"), Column::text("program"), Column::text("reason")];

/// A report with these tables. The first table is the main table.
pub(crate) fn report<'m>(view: &'static str, model: &'m Model, tables: Vec<Table<'m>>) -> Report<'m> {
    Report {
        view,
        unix_ns: model.at().unix_ns,
        host: model.host(),
        elapsed_ns: model.elapsed_ns(),
        tables,
        facts: Facts::new(),
        series: Vec::new(),
        loss: loss_facts(model.loss()),
        cost: cost_facts(model.cost()),
        sources: source_table(model),
        has_names: model.has_names(),
        main: 0,
    }
}

fn loss_facts(loss: Loss) -> Facts<'static> {
    let Loss { map_full, map_busy, storage_failed, ring_full, queue_full, missed_hooks } = loss;
    let causes = [
        ("map_full", map_full),
        ("storage_failed", storage_failed),
        ("ring_full", ring_full),
        ("queue_full", queue_full),
        ("missed_hooks", missed_hooks),
        ("map_busy", map_busy),
    ];
    let total = causes.iter().fold(0u64, |total, (_, count)| total.saturating_add(*count));
    std::iter::once(("total", total))
        .chain(causes)
        .map(|(cause, count)| (cause, Value::Count(count)))
        .collect()
}

fn cost_facts(cost: Cost) -> Facts<'static> {
    let Cost { bpf_run_ns, user_cpu_ms, rss_bytes, map_bytes } = cost;
    vec![
        ("bpf_run_ns", Value::of(bpf_run_ns, Value::Nanoseconds)),
        ("user_cpu_ms", Value::of(user_cpu_ms, Value::Milliseconds)),
        ("rss_bytes", Value::of(rss_bytes, Value::Bytes)),
        ("map_bytes", Value::of(map_bytes, Value::Bytes)),
    ]
}

fn source_table(model: &Model) -> Table<'_> {
    let mut cells = Vec::with_capacity(model.status().len() * SOURCE_COLUMNS.len());
    for status in model.status() {
        cells.extend([
            Value::Text(&status.slot),
            Value::maybe_text(status.tier.as_deref()),
            Value::maybe_text(status.program.as_deref()),
            Value::maybe_text(status.reason.as_deref()),
        ]);
    }
    let title = "Sources".to_owned();
    Table {
        key: Some("sources"),
        title,
        columns: SOURCE_COLUMNS,
        text: &[],
        markdown: &[],
        cells,
        omitted: 0,
    }
}
