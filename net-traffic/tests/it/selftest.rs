//! The self-test passes on this kernel, and fails when the programs skip one event in a thousand.
//!
//! Tests that need counting skip without the rights.

use std::fs;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};

use net_traffic_testing::skip;
use serde_json::Value;

use crate::program::program;

fn selftest(arguments: &[&str], injects_faults: bool) -> (Output, Value) {
    let mut command = program();
    command.args(["selftest", "--json", "--duration", "0.2"]).args(arguments);
    if injects_faults {
        command.env("NET_TRAFFIC_FAULT_INJECT", "1");
    }
    let output = command.output().unwrap();
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (output, report)
}

/// Whether the caller may load programs. Skips if not.
fn may_count(test: &str) -> bool {
    let doctor = program().args(["selftest", "--tier", "kprobe", "--duration", "0.1"]).output().unwrap();
    let may = doctor.status.code() != Some(3);
    if !may {
        skip(&format!("{test}: {}", String::from_utf8_lossy(&doctor.stderr)));
    }
    may
}

fn cases<'r>(report: &'r Value, result: &str) -> Vec<&'r Value> {
    report["cases"].as_array().unwrap().iter().filter(|case| case["result"] == result).collect()
}

#[test]
fn selftest_on_this_kernel_passes() {
    let (output, report) = selftest(&[], false);
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!(report["passed"], true);
    let bytes: u64 = cases(&report, "ok").iter().map(|case| case["counted_bytes"].as_u64().unwrap()).sum();
    assert!(bytes > 1_000_000, "{report}");
}

#[test]
fn selftest_runs_each_traffic_on_each_tier() {
    if !may_count("selftest_runs_each_traffic_on_each_tier") {
        return;
    }
    let (_, report) = selftest(&[], false);
    let granted = report["tiers"].as_array().unwrap().iter().filter(|tier| tier["refused"].is_null());
    let granted: Vec<&str> = granted.map(|tier| tier["tier"].as_str().unwrap()).collect();
    let passed = cases(&report, "ok");
    let kinds = [
        "tcp_plain",
        "tcp_ipv6",
        "tcp_sendfile",
        "tcp_splice_send",
        "tcp_peek",
        "tcp_shared_writers",
        "tcp_brief_processes",
        "udp_connected",
        "udp_ipv6",
        "udp_peek",
        "udp_exchange",
    ];
    let hooked = granted.iter().filter(|tier| !["none", "polling", "capture"].contains(*tier));
    for tier in hooked {
        for kind in kinds {
            assert!(
                passed.iter().any(|case| case["tier"] == **tier && case["case"] == kind),
                "{tier} {kind}: {report}"
            );
        }
    }
    for case in ["capture_udp", "capture_tcp"] {
        let found =
            passed.iter().find(|found| found["case"] == case).unwrap_or_else(|| panic!("{case}: {report}"));
        assert!(found["sent_bytes"].as_u64().unwrap() > 1_000_000, "{found}");
        assert_eq!(found["sent_bytes"], found["counted_bytes"]);
    }
}

#[test]
fn selftest_reports_time_cpu_and_throughput() {
    let (_, report) = selftest(&[], false);
    for tier in report["tiers"].as_array().unwrap() {
        if tier["refused"].is_null() && tier["tier"] != "capture" {
            for figure in ["round_trip_ns", "cpu_ns_per_call", "throughput_bps"] {
                assert!(tier[figure].as_u64().unwrap() > 0, "{figure}: {tier}");
            }
        }
    }
}

#[test]
fn selftest_with_injected_loss_fails() {
    if !may_count("selftest_with_injected_loss_fails") {
        return;
    }
    for tier in ["tp-btf", "fentry", "kprobe"] {
        let output =
            program().args(["selftest", "--tier", tier, "--duration", "0.1", "-q"]).output().unwrap();
        if output.status.code() == Some(2) {
            // The kernel refuses the tier.
            continue;
        }
        let (output, report) = selftest(&["--tier", tier], true);
        assert_eq!(output.status.code(), Some(1), "{tier}: {report}");
        assert_eq!(report["passed"], false);
        let failed = cases(&report, "failed");
        assert!(failed.iter().any(|case| case["case"] == "udp_exchange"), "{tier}: {report}");
        for case in failed {
            assert!(case["error_bytes"].as_u64().unwrap() > 0, "{case}");
        }
    }
}

#[test]
fn selftest_table_has_cases_and_cost() {
    let output = program().args(["selftest", "--tier", "polling", "--duration", "0.1"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let columns =
        |heading: &str| text.lines().any(|line| line.split_whitespace().eq(heading.split_whitespace()));
    assert!(columns("TIER CASE SENT COUNTED ERROR RESULT NOTE"), "{text}");
    let cost = "TIER ROUND-TRIP-NS ADDED-NS/CALL CPU-NS/CALL ADDED-CPU-NS/CALL THROUGHPUT REFUSED";
    assert!(columns(cost), "{text}");
    let row = |tier: &str, case: &str| text.lines().any(|line| line.starts_with(tier) && line.contains(case));
    assert!(row("polling", "tcp_plain") && row("none", "bit") && text.contains("passed: yes"), "{text}");
}

#[test]
fn selftest_without_rights_runs_on_shared_loopback() {
    if !may_count("selftest_without_rights_runs_on_shared_loopback") {
        return;
    }
    let (_, report) = selftest(&["--tier", "polling"], false);
    assert_eq!(report["own_namespace"], true, "{report}");
    // Another user may be unable to read the source tree.
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let copy = directory.path().join("net-traffic");
    fs::copy(env!("CARGO_BIN_EXE_net-traffic"), &copy).unwrap();
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", "--"])
        .arg(copy)
        .args(["selftest", "--json", "--duration", "0.1"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let report: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!((&report["own_namespace"], &report["passed"]), (&false.into(), &true.into()), "{report}");
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("it runs on loopback"), "{said}");
    let tiers = report["tiers"].as_array().unwrap();
    let refused = |name: &str| tiers.iter().any(|tier| tier["tier"] == name && tier["refused"].is_string());
    assert!(refused("tp-btf") && refused("capture") && !refused("polling"), "{report}");
}

/// eBPF programs end with their descriptors, namespaces with their processes. So no process may be left.
#[test]
fn selftest_leaves_no_processes_or_files() {
    let names = |directory: &str| -> Vec<_> {
        let entries = fs::read_dir(directory).into_iter().flatten().flatten();
        let mut names: Vec<_> = entries.map(|entry| entry.file_name()).collect();
        names.sort();
        names
    };
    let left = || ["/sys/fs/bpf", "/run/netns", "/sys/class/net"].map(names);
    let files = tempfile::tempdir().unwrap();
    let before = left();
    let mut child = Command::new("setsid")
        .arg(env!("CARGO_BIN_EXE_net-traffic"))
        .args(["selftest", "--json", "--duration", "0.1"])
        .env("TMPDIR", files.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let session = child.id().to_string();
    let mut report = String::new();
    child.stdout.take().unwrap().read_to_string(&mut report).unwrap();
    child.wait().unwrap();
    assert!(report.contains("tcp_brief_processes"), "it had processes: {report}");
    assert_eq!(left(), before);
    assert_eq!(names(files.path().to_str().unwrap()), Vec::<std::ffi::OsString>::new());
    let members: Vec<String> = names("/proc")
        .into_iter()
        .filter_map(|process| {
            let line = fs::read_to_string(format!("/proc/{}/stat", process.to_str()?)).ok()?;
            // After the name: state, parent, group, session.
            let of = line.rsplit_once(')')?.1.split_whitespace().nth(3)?.to_owned();
            (of == session).then_some(line)
        })
        .collect();
    assert!(members.is_empty(), "{members:?}");
}

/// A worker starts only on a socket pair of a parent that runs the same executable.
#[test]
fn worker_started_by_user_is_usage_error() {
    let worker = |stdin: Stdio| {
        let output =
            program().args(["selftest-worker", "tcp_plain", "client"]).stdin(stdin).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (_, other_program) = UnixStream::pair().unwrap();
    for stdin in [Stdio::null(), Stdio::from(OwnedFd::from(other_program))] {
        let (status, message) = worker(stdin);
        assert_eq!(status, Some(2), "{message}");
        assert!(message.contains("selftest-worker"), "{message}");
    }
}

#[test]
fn duration_out_of_range_is_usage_error() {
    let output = program().args(["selftest", "--tier", "polling", "--duration", "0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
}
