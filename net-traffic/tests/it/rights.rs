//! The program without rights: the commands that run, the commands that fail, and the remedies that it names.

use std::process::{Command, Output};

use net_traffic_testing::schema;

use crate::program::{stderr, stdout};

/// Runs the program without capabilities, also when root runs the tests.
fn without_rights(line: &str) -> Output {
    let mut command = Command::new("setpriv");
    command.args(["--inh-caps=-all", "--ambient-caps=-all"]);
    // Dropping the bounding set needs CAP_SETPCAP.
    if Command::new("setpriv").args(["--bounding-set=-all", "true"]).output().unwrap().status.success() {
        command.arg("--bounding-set=-all");
    }
    command.arg(assert_cmd::cargo::cargo_bin!("net-traffic")).args(line.split_whitespace()).output().unwrap()
}

#[test]
fn doctor_lists_each_slot_once_with_remedy() {
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
fn commands_without_rights_name_them_or_run() {
    for line in ["run -- true", "top -c 1 --tier tp-btf", "bandwidth -c 1 --xdp", "capture -c 1 -i lo"] {
        let output = without_rights(line);
        let messages = stderr(&output);
        assert_eq!(output.status.code(), Some(3), "{line}: {messages}");
        assert!(
            output.stdout.is_empty() && messages.contains("CAP_BPF") && messages.contains("setcap"),
            "{line}: {messages}"
        );
    }
    for line in ["--json", "top --json -c 1", "bandwidth --json -c 1"] {
        let output = without_rights(line);
        assert_eq!(output.status.code(), Some(0), "{line}: {}", stderr(&output));
        assert!(stderr(&output).contains("CAP_SYS_PTRACE"), "{line}: {}", stderr(&output));
        schema::check(stdout(&output).trim());
    }
}
