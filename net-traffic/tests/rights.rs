//! The real binary without a right: what it goes on with, what it refuses, and that it says what would help.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest")]
mod support;

use std::process::{Command, Output};

use support::schema;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The program without any capability, whoever runs the tests.
fn without_rights(line: &str) -> Output {
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--ambient-caps=-all"]);
    // Who has no right cannot give any up either.
    if Command::new("setpriv").args(["--bounding-set=-all", "true"]).output().unwrap().status.success() {
        command.arg("--bounding-set=-all");
    }
    command.arg(assert_cmd::cargo::cargo_bin!("net-traffic")).args(line.split_whitespace()).output().unwrap()
}

#[test]
fn doctor_says_of_each_slot_once_what_is_missing_and_what_gives_it() {
    let output = without_rights("doctor --json");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let slots = report["slots"].as_array().unwrap();
    let mut names: Vec<_> = slots.iter().map(|slot| slot["slot"].as_str().unwrap()).collect();
    names.sort_unstable();
    let listed = names.len();
    names.dedup();
    assert_eq!(names.len(), listed, "{names:?}");
    for (name, capability) in
        [("owners", "CAP_SYS_PTRACE"), ("counting", "CAP_BPF"), ("netns", "CAP_SYS_ADMIN")]
    {
        let slot = slots.iter().find(|slot| slot["slot"] == name).unwrap();
        assert!(slot["reason"].as_str().unwrap().contains(capability), "{slot}");
        let remedy = slot["remedy"].as_str().unwrap();
        assert!(remedy.contains("setcap") && remedy.contains(&capability.to_lowercase()), "{slot}");
    }
}

#[test]
fn what_takes_rights_names_them_and_what_does_not_goes_on() {
    for line in ["run -- true", "top -c 1 --tier tp-btf", "bandwidth -c 1 --xdp", "capture -c 1 -i lo"] {
        let output = without_rights(line);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{line}: {said}");
        assert!(
            output.stdout.is_empty() && said.contains("CAP_BPF") && said.contains("setcap"),
            "{line}: {said}"
        );
    }
    for line in ["--json", "top --json -c 1", "bandwidth --json -c 1"] {
        let output = without_rights(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains("CAP_SYS_PTRACE"), "{line}: {}", stderr(&output));
        schema::check(stdout(&output).trim());
    }
}
