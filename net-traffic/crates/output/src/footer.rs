//! The last line of every report for people: losses, tiers, and the program's own cost.

use std::fmt::Write;

use super::{Units, format};
use net_traffic_view::{Report, Value};

pub(super) fn line(report: &Report<'_>, units: Option<Units>) -> String {
    let mut line = String::from("Loss: ");
    line.push_str(&loss(report));
    line.push_str(". Sources: ");
    line.push_str(&sources(report));
    let known = report.cost.iter().filter(|(_, value)| *value != Value::Unknown);
    for (place, (name, value)) in known.enumerate() {
        line.push_str(if place == 0 { ". Cost: " } else { ", " });
        let name = name.rsplit_once('_').map_or(*name, |(name, _unit)| name);
        let written = write!(line, "{} {}", name.replace('_', " "), format::value(*value, units));
        debug_assert!(written.is_ok(), "writing to a string cannot fail");
    }
    line.push('.');
    line
}

/// The total, and the causes with losses.
fn loss(report: &Report<'_>) -> String {
    let lost = |value: &Value<'_>| !matches!(value, Value::Count(0));
    let total = report.loss.iter().find(|(cause, _)| *cause == "total");
    let mut text = total.map_or_else(String::new, |(_, total)| format::value(*total, None));
    let causes: Vec<String> = report
        .loss
        .iter()
        .filter(|(cause, value)| *cause != "total" && lost(value))
        .map(|(cause, value)| format!("{cause} {}", format::value(*value, None)))
        .collect();
    if !causes.is_empty() {
        text.push_str(" (");
        text.push_str(&causes.join(", "));
        text.push(')');
    }
    text
}

/// The tiers with their slots; empty slots come last.
fn sources(report: &Report<'_>) -> String {
    let table = &report.sources;
    let (Some(slot), Some(tier)) = (table.column("slot"), table.column("tier")) else {
        return "-".to_owned();
    };
    let mut tiers: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
    for row in table.rows() {
        let (Some(Value::Text(slot)), Some(tier)) = (row.get(slot), row.get(tier)) else { continue };
        let tier = match tier {
            Value::Text(tier) => Some(*tier),
            _ => None,
        };
        match tiers.iter_mut().find(|(known, _)| *known == tier) {
            Some((_, slots)) => slots.push(slot),
            None => tiers.push((tier, vec![slot])),
        }
    }
    if tiers.is_empty() {
        return "-".to_owned();
    }
    tiers.sort_by_key(|(tier, _)| tier.is_none());
    let parts: Vec<String> = tiers
        .iter()
        .map(|(tier, slots)| format!("{} ({})", text(tier.unwrap_or("none")), text(&slots.join(", "))))
        .collect();
    parts.join("; ")
}

/// A recording can contain any slot name. A control character in it must not reach the terminal.
fn text(name: &str) -> String {
    format::value(Value::Text(name), None)
}
