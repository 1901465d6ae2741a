//! Runs the program and reads its reports.

use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use net_traffic_testing::schema::{self, Json};

pub(crate) fn program() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("net-traffic"));
    command.env_remove("NO_COLOR").stdin(Stdio::null());
    command
}

/// A lock for runs that may count: a second counting instance is refused.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs the program with a line of arguments.
pub(crate) fn run(line: &str) -> Output {
    let _alone = alone();
    program().args(line.split_whitespace()).output().unwrap()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The reports of a run, each checked against the JSON contract.
pub(crate) fn reports(line: &str) -> Vec<Json> {
    let output = run(&format!("{line} --json"));
    assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().for_each(schema::check);
    text.lines().map(Json::parse).collect()
}

/// The row of the list with these values.
pub(crate) fn find<'j>(report: &'j Json, list: &str, expected: &[(&str, &str)]) -> Option<&'j Json> {
    let is_like = |row: &&Json| expected.iter().all(|(path, value)| show(row, path) == *value);
    report.get(list).list().iter().find(is_like)
}

/// A value by a path of keys: `local.port`.
pub(crate) fn show(row: &Json, path: &str) -> String {
    // A missing value has no parts.
    let part = |value: &Json, key| if *value == Json::Null { Json::Null } else { value.get(key).clone() };
    match path.split('.').fold(row.clone(), |value, key| part(&value, key)) {
        Json::Number(number) => number.to_string(),
        Json::Text(text) => text,
        Json::Bool(value) => value.to_string(),
        Json::Null => "null".to_owned(),
        other => panic!("{path} is {other:?}"),
    }
}

pub(crate) fn number(row: &Json, key: &str) -> f64 {
    match row.get(key) {
        Json::Number(number) => *number,
        other => panic!("{key} is {other:?}"),
    }
}

/// Whether the program runs under Wine, which lacks event tracing, the packet monitor and some owners. Tests of missing
/// parts need Wine, because an administrator on Windows has them.
pub(crate) fn is_wine() -> bool {
    // Wine sets this variable for its programs.
    std::env::var_os("WINEPREFIX").is_some()
}
