//! The report of the self-test: sent and counted bytes by case, and the cost of counting.

use super::rows::ledger;
use super::{Column, ColumnSpec, Report, Table, Value};
use net_traffic_model::Model;
use net_traffic_snapshot::selftest::{self, CaseResult, Speed};

const CASES: &[Column] = &[
    Column::text("tier"),
    Column::text("case"),
    Column::number("sent_bytes"),
    Column::number("counted_bytes"),
    Column::number("error_bytes"),
    Column::text("result"),
    Column::text("note"),
];

const CASES_TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("TIER", "tier"),
    ColumnSpec::whole("CASE", "case"),
    ColumnSpec::plain("SENT", "sent_bytes"),
    ColumnSpec::plain("COUNTED", "counted_bytes"),
    ColumnSpec::plain("ERROR", "error_bytes"),
    ColumnSpec::whole("RESULT", "result"),
    ColumnSpec::whole("NOTE", "note"),
];

const COST: &[Column] = &[
    Column::text("tier"),
    Column::number("round_trip_ns"),
    Column::number("added_ns_per_call"),
    Column::number("cpu_ns_per_call"),
    Column::number("added_cpu_ns_per_call"),
    Column::number("throughput_bps"),
    Column::text("refused"),
];

const COST_TEXT: &[ColumnSpec] = &[
    ColumnSpec::whole("TIER", "tier"),
    ColumnSpec::whole("ROUND-TRIP-NS", "round_trip_ns"),
    ColumnSpec::whole("ADDED-NS/CALL", "added_ns_per_call"),
    ColumnSpec::whole("CPU-NS/CALL", "cpu_ns_per_call"),
    ColumnSpec::whole("ADDED-CPU-NS/CALL", "added_cpu_ns_per_call"),
    ColumnSpec::whole("THROUGHPUT", "throughput_bps"),
    ColumnSpec::whole("REFUSED", "refused"),
];

/// The name of the row without counting.
const UNCOUNTED: &str = "none";
/// Two sends and two receives.
const CALLS_IN_ROUND_TRIP: u64 = 4;

/// The view of the self-test's report; the model holds the last snapshot.
#[must_use]
pub fn report<'m>(trial: &'m selftest::Report, model: &'m Model) -> Report<'m> {
    let mut report = ledger::report("selftest", model, vec![cases(trial), cost(trial)]);
    report.facts =
        vec![("passed", Value::Flag(trial.passed())), ("own_namespace", Value::Flag(trial.shared.is_none()))];
    report
}

fn cases(trial: &selftest::Report) -> Table<'_> {
    let rows: Vec<_> =
        trial.tiers.iter().flat_map(|tier| tier.cases.iter().map(|case| case_row(tier.tier, case))).collect();
    let failed = rows.iter().filter(|row| row[RESULT] == Value::Text(FAILED)).count();
    let count = rows.len();
    Table {
        key: Some("cases"),
        title: format!("Known traffic: {count} cases, {failed} failed"),
        columns: CASES,
        text: CASES_TEXT,
        markdown: CASES_TEXT,
        cells: rows.into_iter().flatten().collect(),
        omitted: 0,
    }
}

const FAILED: &str = "failed";
/// The place of the column `result` in `CASES`.
const RESULT: usize = 5;

fn case_row<'t>(tier: &'t str, case: &'t CaseResult) -> [Value<'t>; CASES.len()] {
    let bytes = |count| if case.skipped.is_some() { Value::Unknown } else { Value::Bytes(count) };
    let (result, note) = result(case);
    [
        Value::Text(tier),
        Value::Text(case.case),
        bytes(case.moved),
        bytes(case.counted),
        bytes(case.error),
        Value::Text(result),
        Value::maybe_text(note),
    ]
}

fn result(case: &CaseResult) -> (&'static str, Option<&str>) {
    match (&case.skipped, &case.difference) {
        (Some(lacking), _) => ("skipped", Some(lacking)),
        (None, Some(difference)) => (FAILED, Some(difference)),
        (None, None) => ("ok", None),
    }
}

fn cost(trial: &selftest::Report) -> Table<'_> {
    let uncounted = trial.uncounted;
    let mut cells = Vec::new();
    let mut add = |tier: &'static str, speed: Option<Speed>, refused| {
        // A run that is faster than the one without counting is noise: the difference is unknown.
        let added = |part: fn(Speed) -> u64| {
            let more = part(speed?).checked_sub(part(uncounted))?;
            Some(more / CALLS_IN_ROUND_TRIP)
        };
        cells.extend([
            Value::Text(tier),
            Value::of(speed, |speed| Value::Count(speed.round_trip_ns)),
            Value::of(added(|speed| speed.round_trip_ns), Value::Count),
            Value::of(speed, |speed| Value::Count(speed.round_trip_cpu_ns / CALLS_IN_ROUND_TRIP)),
            Value::of(added(|speed| speed.round_trip_cpu_ns), Value::Count),
            Value::of(speed, |speed| Value::LinkRate(speed.bps)),
            Value::maybe_text(refused),
        ]);
    };
    add(UNCOUNTED, Some(uncounted), None);
    for tier in &trial.tiers {
        add(tier.tier, tier.speed, tier.refused.as_deref());
    }
    Table {
        key: Some("tiers"),
        title: "What counting costs, over loopback".to_owned(),
        columns: COST,
        text: COST_TEXT,
        markdown: COST_TEXT,
        cells,
        omitted: 0,
    }
}
