//! The self-test on each kernel: it passes, and fails where programs lose one event in a thousand.

use std::process::{Command, Output};

use libtest_mimic::Failed;
use serde_json::Value;

use super::Check;
use super::report::equal;

pub(super) const CHECKS: &[(&str, Check)] =
    &[("selftest::passes", passes), ("selftest::sabotaged", sabotaged)];

fn selftest(arguments: &[&str], sabotage: bool) -> Result<(Output, Value), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_net-traffic"));
    command.args(["selftest", "--json", "--duration", "0.2"]).args(arguments);
    if sabotage {
        command.env("NET_TRAFFIC_SABOTAGE", "1");
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {said}"))?;
    Ok((output, report))
}

/// The tiers on which a case was tried.
fn tried(report: &Value) -> Vec<&str> {
    let cases = report["cases"].as_array().map(Vec::as_slice).unwrap_or_default();
    let counted = cases.iter().filter(|case| case["result"] == "ok");
    let mut tiers: Vec<&str> = counted.filter_map(|case| case["tier"].as_str()).collect();
    tiers.dedup();
    tiers
}

fn passes() -> Result<(), Failed> {
    let (output, report) = selftest(&[], false)?;
    equal("status", &output.status.code(), &Some(0), &report)?;
    let tiers = tried(&report);
    for always in ["polling", "capture"] {
        equal(always, &tiers.contains(&always), &true, &report)?;
    }
    // Every kernel that is tested grants one at least that has hooks.
    equal("a tier with hooks", &(tiers.len() > 2), &true, &report)
}

fn sabotaged() -> Result<(), Failed> {
    let (output, report) = selftest(&[], true)?;
    equal("status", &output.status.code(), &Some(1), &report)?;
    let cases = report["cases"].as_array().ok_or("no cases")?;
    let counts =
        |tier: &Value| tier["tier"] != "none" && tier["tier"] != "polling" && tier["refused"].is_null();
    for tier in report["tiers"].as_array().ok_or("no tiers")?.iter().filter(|tier| counts(tier)) {
        let failed = |case: &&Value| case["tier"] == tier["tier"] && case["result"] == "failed";
        let found = cases.iter().filter(failed).any(|case| case["error_bytes"].as_u64() > Some(0));
        equal("found out", &(found || tier["tier"] == "capture"), &true, &report)?;
    }
    Ok(())
}
