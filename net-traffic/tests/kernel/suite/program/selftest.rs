//! The self-test passes on each kernel, and fails when the programs skip one event in a thousand.

use std::process::{Command, Output};

use libtest_mimic::Failed;
use serde_json::Value;

use super::Check;
use net_traffic_testing::report::equal;

pub(super) const CHECKS: &[(&str, Check)] =
    &[("selftest::passes", passes), ("selftest::faults_fail_the_test", faults_fail_the_test)];

fn selftest(arguments: &[&str], injects_faults: bool) -> Result<(Output, Value), Failed> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_net-traffic"));
    command.args(["selftest", "--json", "--duration", "0.2"]).args(arguments);
    if injects_faults {
        command.env("NET_TRAFFIC_FAULT_INJECT", "1");
    }
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report = serde_json::from_slice(&output.stdout).map_err(|error| format!("{error}: {said}"))?;
    Ok((output, report))
}

/// The tiers with a case that ran.
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
    // Every tested kernel grants at least one tier with hooks.
    equal("a tier with hooks", &(tiers.len() > 2), &true, &report)
}

/// One tier only: the test of the program covers all tiers.
fn faults_fail_the_test() -> Result<(), Failed> {
    for tier in ["fentry", "tp-btf"] {
        let Ok((output, report)) = selftest(&["--tier", tier], true) else { continue };
        equal("status", &output.status.code(), &Some(1), &report)?;
        let cases = report["cases"].as_array().ok_or("no cases")?;
        let found = |case: &Value| case["tier"] == tier && case["error_bytes"].as_u64() > Some(0);
        return equal("found out", &cases.iter().any(found), &true, &report);
    }
    Err("this kernel grants neither".into())
}
